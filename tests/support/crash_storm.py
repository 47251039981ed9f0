"""Storms of crashes: how many tries, which of them are this shard's, what fired, and how to repeat one that failed.

Environment variables (`make crash` sets them; docs/how-to/run-the-crash-tests.md):

- KASPARRO_CRASH_KILLS: how many kills have to fire per kind of database (random instants);
- KASPARRO_CRASH_POINTS: how many system calls to stop at per storm, spread over all of them; `all` for every one;
- KASPARRO_CRASH_SHARD: `i/n`, the i-th of n equal parts of it all (1/4 ... 4/4);
- KASPARRO_CRASH_TRY: repeats the one try that a failure named;
- KASPARRO_TEST_FIGURES: a file that each storm adds its closing line to.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from crash_try import Try

T = TypeVar("T")
COUNTED = ("points", "kills", "void", "polls", "again", "failed")
KILLS, POINTS, SHARD, TRY = (f"KASPARRO_CRASH_{name}" for name in ("KILLS", "POINTS", "SHARD", "TRY"))
NEEDS_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and fork are POSIX's")


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 0) of `parts`."""

    index: int = 0
    parts: int = 1

    @classmethod
    def given(cls) -> Shard:
        """As the environment says it, counted from 1 there."""
        index, _, parts = os.environ.get(SHARD, "1/1").partition("/")
        shard = cls(int(index) - 1, int(parts or 1))
        if not 0 <= shard.index < shard.parts:
            raise ValueError(f"{SHARD} has to be i/n with i from 1 to n, found {os.environ[SHARD]!r}")
        return shard

    def share(self, total: int) -> int:
        """How many of `total` are this part's."""
        return len(range(self.index, total, self.parts))

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """This part's items."""
        return items[self.index :: self.parts]

    def numbers(self) -> Iterator[int]:
        """This part's numbers, without end."""
        number = self.index
        while True:
            yield number
            number += self.parts


def wanted(variable: str, default: int) -> int:
    """A count from the environment; `all` is more than there can be."""
    given = os.environ.get(variable, str(default))
    return sys.maxsize if given == "all" else int(given)


def spread(items: Sequence[T], number: int) -> Sequence[T]:
    """`number` of the items, evenly, first and last among them."""
    if number >= len(items):
        return items
    return [items[round(place * (len(items) - 1) / max(number - 1, 1))] for place in range(number)]


@dataclass
class Storm:
    """What a storm did. `node` names its test, for the command that repeats a try."""

    name: str
    node: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def only(self) -> str | None:
        """The one try to repeat."""
        return os.environ.get(TRY)

    def note(self, attempt: str, done: Try) -> None:
        """Count what a try did, and keep what was wrong."""
        self.counts += done.counts
        self.failed(attempt, done.faults)

    def failed(self, attempt: str, faults: Sequence[str]) -> None:
        """Note what was wrong, if anything was."""
        if faults:
            self.counts["failed"] += 1
            command = f"{TRY}='{attempt}' .venv/bin/python -m pytest '{self.node}'"
            self.failures.append("\n  ".join([f"{attempt}:", *faults[:8], f"repeat it with: {command}"]))

    def line(self) -> str:
        """The closing line."""
        counted = ", ".join(f"{what} {self.counts[what]}" for what in COUNTED if what in self.counts)
        return f"{self.name}: {counted}"

    def close(self, said: Callable[[str], None]) -> None:
        """Say the closing line and fail if anything was wrong."""
        said(self.line())
        if file := os.environ.get("KASPARRO_TEST_FIGURES"):
            with Path(file).open("a", encoding="utf-8") as figures:
                figures.write(self.line() + "\n")
        assert not self.failures, "\n".join([self.line(), *self.failures[:10]])
