"""From the first bytes of a file to its layout. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kasparro_adapters.files.decoder import decode_chunk
from kasparro_adapters.files.dialect import split_lines
from kasparro_adapters.files.encoding import detect_encoding
from kasparro_adapters.files.facts import Layout, numbered_names, unique_names
from kasparro_adapters.files.header import Table, find_table
from kasparro_adapters.files.sniff import detect_dialect


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What is declared about a file; None (for `columns` and `skip_lines`: empty) means: find out.

    `quote` "" means that quotes are plain text. `skip_lines`: physical lines in front of the table. `columns` name the
    columns, in the place of a header that may be there.
    """

    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool | None = None
    columns: tuple[str, ...] = ()
    skip_lines: int = 0


def detect_layout(sample: bytes, rules: ReadingRules, *, complete: bool) -> Layout:
    """The layout of a file that starts with `sample` (`complete`: and ends with it)."""
    encoding = detect_encoding(sample, rules.encoding)
    text, _ = decode_chunk(sample, encoding, at_start=True)
    lines = split_lines(text)
    if not complete and len(lines) > 1:
        del lines[-1]
    declared = min(rules.skip_lines, len(lines))
    lines = lines[declared:]
    dialect = detect_dialect("".join(lines), delimiter=rules.delimiter, quote=rules.quote)
    table = find_table(lines, dialect, rules.header, width=len(rules.columns) or None)
    return Layout(encoding, dialect, _names(table, rules.columns), declared + table.skip)


def _names(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    if columns:
        return unique_names(columns)
    return numbered_names(table.width) if table.names is None else unique_names(table.names)
