"""What the verbs print: tables for people, plain lines for pipes, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from kasparro_app.views import View, json_array
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json

_CELL = 60
_GAP = 2
_NARROW = 14


def on_terminal() -> bool:
    """True when standard output is a terminal that a person looks at."""
    return sys.stdout.isatty()


def print_views(views: Sequence[View], columns: Sequence[str], *, as_json: bool, nothing: str) -> None:
    """A JSON array of whole views, or a table of some of their columns; `nothing` is said when there are none."""
    if as_json:
        print(json_array(views))
    elif not views:
        print(nothing)
    else:
        print_table(columns, [[cell(view.get(column)) for column in columns] for view in views])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A rich table on a terminal, aligned plain columns elsewhere."""
    if on_terminal():
        _print_rich(columns, rows)
    else:
        print("\n".join(plain_lines(columns, rows)))


def plain_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The table as aligned text; columns of numbers stand right."""
    right = [_is_numeric([row[at] for row in rows]) for at in range(len(columns))]
    widths = [max(len(line[at]) for line in [columns, *rows]) for at in range(len(columns))]
    return [
        "  ".join(
            text.rjust(width) if on_right else text.ljust(width)
            for text, width, on_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [columns, *rows]
    ]


def print_pairs(view: View) -> None:
    """One thing, a line per key."""
    width = max(len(key) for key in view)
    for key, value in view.items():
        print(f"{key.ljust(width)}  {cell(value, limit=None)}")


def cell(value: Any, *, limit: int | None = _CELL) -> str:
    """A value as people read it, on one line."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case Decimal():
            return canonical_decimal(value)
        case float():
            return f"{value:.2f}"
        case Mapping() | list() | tuple():
            return _one_line(canonical_json(value), limit)
        case _:
            return _one_line(str(value), limit)


def _one_line(text: str, limit: int | None) -> str:
    """Without line ends and control signs, which could move a terminal's cursor."""
    if limit is None:
        return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    clean = "".join(sign if sign.isprintable() else " " for sign in text)
    return clean if len(clean) <= limit else f"{clean[: limit - 3]}..."


def _is_numeric(cells: Sequence[str]) -> bool:
    filled = [text for text in cells if text]
    return bool(filled) and all(text.replace(".", "").replace("-", "").isdigit() for text in filled)


def fitted(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """How wide each column may be so that the table fits: wide texts are cut first, then columns left out from the
    right. The result has one width per column that stays."""
    widths = [max(len(line[at]) for line in [columns, *rows]) for at in range(len(columns))]
    while len(widths) > 1 and (over := sum(widths) + _GAP * (len(widths) - 1) - width) > 0:
        widest = max(widths)
        if widest > _NARROW:
            widths[widths.index(widest)] = max(_NARROW, widest - over)
        else:
            widths.pop()
    return widths


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if console.no_color:  # set by NO_COLOR, which rich takes to mean colors alone
        console = Console(color_system=None)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0), show_edge=False)
    widths = fitted(columns, rows, console.width)
    for at, width in enumerate(widths):
        side: Literal["left", "right"] = "right" if _is_numeric([row[at] for row in rows]) else "left"
        table.add_column(columns[at], justify=side, no_wrap=True, max_width=width)
    for row in rows:
        table.add_row(*(Text(text) for text in row[: len(widths)]))
    console.print(table)
