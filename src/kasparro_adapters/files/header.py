"""Where the table of a file begins, and whether its first row names the columns.

In front of a table may stand empty lines, comment lines (`#`), a banner (a URL, a title) and mostly empty rows.
A first row is a header when no cell of it is a number or a date, or when it starts with a word and ends with years.
Over rows that have no header, the last comment line is one if it has as many cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kasparro_adapters.files.dialect import Dialect, Row, scan

_ROWS = 500
_NUMBER = re.compile(r"\s*[-+]?[$€£¥]?\s*[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?\s*[%KMBT]?\s*")
_DATE = re.compile(r"\s*\d{1,4}[-/.:]\d{1,2}(?:[-/.:]\d{1,4})?(?:[T\s].*)?\s*")
_YEAR = re.compile(r"\s*(?:1[89]|20)\d\d\s*")


@dataclass(frozen=True, slots=True)
class Table:
    """`skip`: physical lines in front of the first data row. `names`: the header's cells, None without header."""

    skip: int
    width: int
    names: tuple[str, ...] | None


def find_table(
    lines: Sequence[str], dialect: Dialect, header: bool | None = None, *, width: int | None = None
) -> Table:
    """The table in these first lines of a file. `header` None: find out. `width`: the number of columns, if known."""
    rows = [row for row in _rows(lines, dialect) if row.cells != []]
    if not rows:
        return Table(len(lines), width or 0, None)
    width = width or _usual_width(rows)
    rows = [_mended(row, lines, dialect, width) for row in rows]
    start = _first_row(rows, lines, width)
    if header is not None:
        return _table(rows[start], width, named=header)
    if _is_banner(rows[start:]):
        start += 1
    if _looks_like_header([row.cells or [] for row in rows[start:]]):
        return _table(rows[start], width, named=True)
    if start and _is_comment(lines[rows[start - 1].start], width) and len(rows[start - 1].cells or ()) == width:
        return _table(rows[start - 1], width, named=True)
    return _table(rows[start], width, named=False)


def _table(first: Row, width: int, *, named: bool) -> Table:
    cells = tuple(first.cells or ())
    return Table(first.end, len(cells), cells) if named else Table(first.start, width, None)


def _rows(lines: Sequence[str], dialect: Dialect) -> list[Row]:
    rows = []
    for row in scan(lines, dialect):
        rows.append(row)
        if len(rows) == _ROWS:
            break
    return rows


def _mended(row: Row, lines: Sequence[str], dialect: Dialect, width: int) -> Row:
    """A row that may name the columns, without the stray quote that swallowed a delimiter or a line: its first line is
    read with quotes as plain text, if that gives the usual width and no more than one cell with a quote at one end."""
    if dialect.quote is None or (row.cells is not None and len(row.cells) == width):
        return row
    cells = [cell.strip() for cell in next(replace(dialect, quote=None).reader(iter((lines[row.start],))), [])]
    torn = sum(1 for cell in cells if cell.startswith(dialect.quote) != cell.endswith(dialect.quote))
    if len(cells) != width or torn > 1:
        return row
    return Row(row.start, row.start + 1, [cell.strip(dialect.quote) for cell in cells])


def _usual_width(rows: Sequence[Row]) -> int:
    """The most frequent number of cells in the second half, where no preamble is; of equals the larger."""
    widths = Counter(len(row.cells) for row in rows[len(rows) // 2 :] if row.cells)
    return max(widths, key=lambda width: (widths[width], width), default=1)


def _first_row(rows: Sequence[Row], lines: Sequence[str], width: int) -> int:
    """Index of the first row of the table: not a comment, of the usual width (or one less), and not mostly empty."""
    for index, row in enumerate(rows):
        if _is_comment(lines[row.start], width) or row.cells is None:
            continue
        if _fits(row.cells, width):
            return index
    return 0


def _is_comment(line: str, width: int) -> bool:
    return width > 1 and line.lstrip().startswith(("#", "//"))


def _fits(cells: Sequence[str], width: int) -> bool:
    if width == 1:
        return True
    filled = sum(1 for cell in cells if cell.strip())
    return len(cells) >= max(width - 1, 2) and filled > 1


def _is_banner(rows: Sequence[Row]) -> bool:
    """True when a first row of sentences stands over a row of short names, and that over values."""
    if len(rows) < 3:
        return False
    first, second, third = ([cell.strip() for cell in row.cells or ()] for row in rows[:3])
    names = all(0 < len(cell) <= 15 and not _is_value(cell) for cell in second) and len(set(second)) == len(second)
    return names and all(len(cell) > 20 and " " in cell for cell in first) and all(map(_is_value, third))


def _looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    first, rest = rows[0], rows[1:]
    names = [cell.strip() for cell in first]
    values = sum(1 for cell in names if _is_value(cell))
    if values == 0:
        return any(names)
    if _YEAR.fullmatch(names[-1]) and not _is_value(names[0]):
        return len(set(names)) == len(names) and bool(rest)
    return False


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))
