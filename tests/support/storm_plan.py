"""Which tries of a storm are made, how one of them is made again, and what they counted.

Each try is a test of its own with a seed for its number. KASPARRO_CRASH_SHARD=i/n takes each n-th, beginning with the
i-th; KASPARRO_CRASH_TRY=7 makes try 7 alone. KASPARRO_TEST_FIGURES=FILE adds a line there for each try.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash_storm import TRY, Shard


def seeds(variable: str, default: int) -> list[int]:
    """The tries to be made here, from 0; how many there are in all is what the environment says, else a few."""
    if chosen := os.environ.get(TRY):
        return [int(chosen)] if chosen.isdigit() else []
    return list(Shard.given().of(range(int(os.environ.get(variable, str(default))))))


@contextmanager
def replayable(request: pytest.FixtureRequest, seed: int) -> Iterator[None]:
    """A failure inside says the one command that makes this try again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"repeat it with: {TRY}={seed} .venv/bin/python -m pytest {shlex.quote(request.node.nodeid)}")
        raise


def tell(request: pytest.FixtureRequest, **figures: object) -> None:
    """Say what a try counted, beside the name of its test."""
    line = f"{request.node.name}: {', '.join(f'{name} {value}' for name, value in figures.items())}"
    request.getfixturevalue("tell")(line)
    if file := os.environ.get("KASPARRO_TEST_FIGURES"):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
