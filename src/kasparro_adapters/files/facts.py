"""Decode facts of a CSV chunk: all that is needed, with the bytes, to read it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kasparro_adapters.files.dialect import Dialect

FORMAT = "csv"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read: found once at its start, then the same for every chunk.

    `encoding` is a codec name with byte order; `header` the unique column names; `skip` the physical lines in front of
    the first row (byte order mark, preamble, header).
    """

    encoding: str
    dialect: Dialect
    header: tuple[str, ...]
    skip: int = 0

    def facts(self, first_line: int) -> dict[str, Any]:
        """The JSON object for a chunk that starts at physical line `first_line` (from 1) of the file."""
        return {
            "format": FORMAT,
            "encoding": self.encoding,
            "delimiter": self.dialect.delimiter,
            "quote": self.dialect.quote,
            "escape": self.dialect.escape,
            "skip_space": self.dialect.skip_space,
            "header": list(self.header),
            "first_line": first_line,
            "skip": self.skip if first_line == 1 else 0,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Layout:
        """The inverse. Raises KeyError or TypeError when something is missing."""
        dialect = Dialect(facts["delimiter"], facts["quote"], facts["escape"], facts["skip_space"])
        return cls(facts["encoding"], dialect, tuple(facts["header"]), facts["skip"])


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Column names without repeats: the second `a` is `a_2`; an empty one is `column_N` by its place (from 1)."""
    seen: set[str] = set()
    unique = []
    for place, given in enumerate(names, start=1):
        name = base = given if given.strip() else f"column_{place}"
        count = 1
        while name in seen or (count > 1 and name in names):
            count += 1
            name = f"{base}_{count}"
        seen.add(name)
        unique.append(name)
    return tuple(unique)


def numbered_names(count: int) -> tuple[str, ...]:
    """`column_1` to `column_N` for a file without header."""
    return tuple(f"column_{place}" for place in range(1, count + 1))
