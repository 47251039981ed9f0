"""`kasparro`, and `python -m kasparro_app`: the program, or how to get the libraries that it needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program. The core installs with pydantic alone; then this says in a sentence what is missing."""
    try:
        from kasparro_app.cli.main import main as program
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("kasparro"):
            raise
        sys.exit(f"kasparro: the library {missing.name} is not installed. Run: pip install 'kasparro[all]'")
    program()


if __name__ == "__main__":
    main()
