"""Which dialect a text is in: every candidate reads the sample, and the one with the most regular table wins.

The score of a candidate is pattern times type. Pattern: rows of one width, repeated, with more than one cell, weigh
most (a few long patterns beat many short ones). Type: the share of cells that look like one thing (a number, a date, a
word, a URL, nothing) and not like a torn piece of two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from kasparro_adapters.files.dialect import Dialect, scan, split_lines

_COMMON = ",;\t|"
_OTHERS = ":~^#*&%$! "
_PRIOR = {",": 1.0, ";": 1.0, "\t": 1.0, "|": 1.0, ":": 0.6, " ": 0.7}
_QUOTES = ('"', "'")
_ROWS = 200
_SAMPLE_CHARS = 64 * 1024

_CELL = re.compile(
    r"""\s*(?:
      [-+]?[\d.,\s]*\d[\d.,]*(?:[eE][-+]?\d+)?\s*[%KMBT]?          # numbers of any notation
    | [-+]?[$€£¥₹]\s*[-+]?[\d.,]+ | [\d.,]+\s*[$€£¥₹]                # money
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T\s]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:Z|[AaPp][Mm]|[-+]\d{2}:?\d{2})?)?
    | \d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp][Mm])?        # times
    | (?:nan|na|n/a|null|none|true|false|-)
    | [\w.+-]+@[\w-]+\.[\w.-]+ | (?:https?|ftp)://\S+
    | [^\W\d_][\w \-./()&%#@+:?!']*                                  # words
    )\s*""",
    re.VERBOSE | re.IGNORECASE,
)


def detect_dialect(text: str, *, delimiter: str | None = None, quote: str | None = None) -> Dialect:
    """The dialect of a sample (at its end a line may be cut). Declared parts are kept; a comma where nothing scores.

    `quote` "" declares that there are no quotes.
    """
    lines = _sample_lines(text)
    best, top = Dialect(delimiter or ",", quote or '"') if quote != "" else Dialect(delimiter or ",", None), 0.0
    for candidate in _candidates(lines, delimiter, quote):
        score = _score(lines, candidate)
        if score > top + 1e-9:
            best, top = candidate, score
    return best


def _sample_lines(text: str) -> list[str]:
    """Lines of the sample without the last, which may be cut, and without leading empty lines."""
    lines = split_lines(text[:_SAMPLE_CHARS])
    if len(text) > _SAMPLE_CHARS and len(lines) > 1:
        del lines[-1]
    return lines


def _candidates(lines: Sequence[str], delimiter: str | None, quote: str | None) -> Iterator[Dialect]:
    """In order of preference: the first of equals wins."""
    text = "".join(lines)
    delimiters = [delimiter] if delimiter else [char for char in _COMMON + _OTHERS if char in text]
    for char in delimiters:
        for mark in _quotes(text, quote):
            spaced = char != " " and _is_spaced(lines, char)
            for escape in _escapes(text, mark):
                yield Dialect(char, mark, escape, spaced)


def _quotes(text: str, declared: str | None) -> list[str | None]:
    if declared is not None:
        return [declared or None]
    present = [mark for mark in _QUOTES if mark in text]
    return ['"', *(mark for mark in present if mark != '"')] if present else ['"']


def _escapes(text: str, quote: str | None) -> list[str | None]:
    """A backslash escapes only where it stands in front of a quote."""
    return [None, "\\"] if quote and f"\\{quote}" in text else [None]


def _is_spaced(lines: Sequence[str], delimiter: str) -> bool:
    """True when a blank follows nearly every delimiter that stands between cells."""
    text = "".join(line for line in lines[:_ROWS])
    count = text.count(delimiter)
    return count > 0 and text.count(f"{delimiter} ") >= 0.9 * count


def _score(lines: Sequence[str], dialect: Dialect) -> float:
    rows = _rows(lines, dialect)
    if not rows or (dialect.delimiter == " " and not _has_figures(rows)):
        return 0.0
    return _pattern_score(rows) * _type_score(rows) * _PRIOR.get(dialect.delimiter, 0.4)


def _rows(lines: Sequence[str], dialect: Dialect) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in scan(lines, dialect):
        if row.cells != []:
            rows.append(row.cells or [""])
        if len(rows) == _ROWS:
            break
    return rows


def _pattern_score(rows: Sequence[Sequence[str]]) -> float:
    """Sum over row widths of (rows of that width) x (width - 1) / width, by the number of widths."""
    widths = Counter(len(row) for row in rows)
    return sum(count * max(width - 1, 0.001) / width for width, count in widths.items()) / len(widths)


def _has_figures(rows: Sequence[Sequence[str]]) -> bool:
    """Blanks delimit cells only where many of them hold figures; else this is prose."""
    cells = [cell for row in rows for cell in row]
    return sum(1 for cell in cells if any(map(str.isdecimal, cell))) >= 0.2 * len(cells)


def _type_score(rows: Sequence[Sequence[str]]) -> float:
    """The share of cells that are understood."""
    cells = [cell for row in rows for cell in row]
    known = sum(1 for cell in cells if not cell or _CELL.fullmatch(cell[:200]))
    return max(known / len(cells), 1e-6)
