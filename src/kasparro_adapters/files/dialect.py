"""A CSV dialect, and how text becomes rows under it: the one place that decides where a row ends.

The framer (which cuts a stream of bytes into chunks of whole rows) and the decoder (which turns a chunk into items)
both go through `scan`, so that they can never disagree. A row ends at \\n, \\r\\n or \\r outside quotes. A quote that
is not closed within ROW_LIMIT characters, or before the end of the file, gives up its first physical line alone and
reading goes on behind it, so that one stray quote costs one line and not the rest of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _csv import Reader

ROW_LIMIT = 1024 * 1024
"""The longest row in characters; a longer one is rejected by its first physical line."""

# The module-wide default of csv (128 KiB a field) is below ROW_LIMIT; rows are bounded here, so fields are too.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are told apart. `quote` None: quotes are plain text. `escape` None: a quote is escaped by doubling it.

    `skip_space`: blanks after a delimiter belong to the delimiter.
    """

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    skip_space: bool = False

    def reader(self, lines: Iterator[str]) -> Reader:
        """A csv.reader over physical lines that keep their terminators."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote or '"',
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape,
            skipinitialspace=self.skip_space,
            strict=False,
        )

    def is_simple(self, text: str) -> bool:
        """True when no row of `text` can span two lines, so that lines are rows."""
        return (self.quote is None or self.quote not in text) and (self.escape is None or self.escape not in text)


class Row(NamedTuple):
    """Physical lines `start` to `end` (exclusive, from 0). `cells` is [] for an empty line, None for a row given up;
    `open` says that it was given up because its quote is open at the end of all lines.
    """

    start: int
    end: int
    cells: list[str] | None
    open: bool = False


def split_lines(text: str) -> list[str]:
    """Physical lines with their terminators (\\n, \\r\\n, \\r)."""
    return io.StringIO(text, newline="").readlines()


def fits(cells: Sequence[str], width: int) -> bool:
    """True for a row of `width` columns; surplus cells are no fault when they are empty (a trailing delimiter)."""
    return len(cells) == width or (len(cells) > width and not any(cells[width:]))


def scan(lines: Sequence[str], dialect: Dialect, *, width: int = 0, complete: bool = True) -> Iterator[Row]:
    """The rows of `lines`, empty ones included.

    With `complete` False more lines may follow: a last row whose quote is still open is not yielded, unless it is
    already longer than ROW_LIMIT. With `width` (columns), a row of several lines that does not fit is given up by its
    first line when one of the others is a row by itself: a stray quote had swallowed it.
    """
    base = 0
    while base < len(lines):
        for row in _attempt(lines, base, dialect, width):
            if row.cells is None:
                break
            yield row
        else:
            return
        is_open = row.open and not _too_long(lines, row.start, row.end)
        if is_open and not complete:
            return
        yield Row(row.start, row.start + 1, None, is_open)
        base = row.start + 1


def _attempt(lines: Sequence[str], base: int, dialect: Dialect, width: int) -> Iterator[Row]:
    """Rows from `base` on, up to the first that is to be given up, which comes last, whole, with cells None.

    An empty line is put behind the last one: it is a row of its own, unless an open quote swallows it.
    """
    reader = dialect.reader(chain(lines[base:] if base else lines, ("\n",)))
    start, count = base, len(lines)
    for cells in reader:
        end = base + reader.line_num
        if end > count:
            if start < count:
                yield Row(start, count, None, open=True)
            return
        if end - start > 1 or len(lines[start]) > ROW_LIMIT:
            if _too_long(lines, start, end) or _swallowed(lines[start + 1 : end], cells, dialect, width):
                yield Row(start, end, None)
                return
        yield Row(start, end, cells)
        start = end


def _too_long(lines: Sequence[str], start: int, end: int) -> bool:
    return sum(map(len, lines[start:end])) > ROW_LIMIT


def _swallowed(others: Sequence[str], cells: Sequence[str], dialect: Dialect, width: int) -> bool:
    """True when `cells`, which reach over `others`, are no row of `width` columns but one of `others` alone is."""
    if not width or fits(cells, width):
        return False
    return any(fits(next(dialect.reader(iter((line,))), []), width) for line in others)
