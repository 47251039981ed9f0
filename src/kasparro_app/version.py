"""The version of the program."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def program_version() -> str:
    """The version of the installed distribution, "0" for one that is run from its sources."""
    try:
        return version("kasparro")
    except PackageNotFoundError:
        return "0"
