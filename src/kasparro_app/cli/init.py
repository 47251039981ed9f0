"""`kasparro init`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from kasparro_app.cli.context import invocation
from kasparro_app.cli.exits import say
from kasparro_app.cli.read import one_of
from kasparro_core.errors import ConfigurationError

TEMPLATES = ("crypto", "csv", "feed")


def init(
    context: typer.Context,
    *,
    template: Annotated[str, typer.Option("--template", help="crypto, csv or feed.")] = "crypto",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented kasparro.toml to start from."""
    one_of("--template", template, list(TEMPLATES))
    file = invocation(context).config or Path("kasparro.toml")
    text = files("kasparro_app").joinpath("templates", f"{template}.toml").read_text(encoding="utf-8")
    write_new(file, text, force=force)
    print(f"Wrote {file}.")
    say("Next: `kasparro check` reaches each source, `kasparro run` reads them, `kasparro serve` keeps on doing so.")


def write_new(file: Path, text: str, *, force: bool) -> None:
    """Write a file that is not there yet. Raises ConfigurationError when it is, or when it cannot be written."""
    try:
        with file.open("w" if force else "x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigurationError(f"{file} is there already.", hint="--force replaces it.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot write {file}: {error.strerror}.") from error
