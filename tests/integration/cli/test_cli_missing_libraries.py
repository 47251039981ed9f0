"""Installed without some of its libraries, the program says which one and how to get it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
del sys.argv[1]
from kasparro_app.__main__ import main
main()
"""


@pytest.mark.parametrize(("library", "arguments"), [("typer", ["--help"]), ("asyncpg", ["runs"])])
def test_a_missing_library_is_one_sentence(library: str, arguments: list[str], tmp_path: Path) -> None:
    """The command line itself, or the driver of the database that the configuration names: named, with the remedy."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, library, *arguments],
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"the library {library} is not installed" in done.stderr
    assert "kasparro[all]" in done.stderr
