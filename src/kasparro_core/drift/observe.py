"""From items to their shape: column by column, about 2 µs an item, every item of every batch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import chain, islice
from math import isfinite
from typing import Any

from kasparro_core.drift.shape import ARRAY, BOOLEAN, MOST_COLUMNS, MOST_FIELDS, NULL, NUMBER, OBJECT, TEXT, Shape
from kasparro_core.model.record import RawRecord

_CHUNK = 256  # columns of more items fall out of the processor's cache
_DEPTH = 8
_ELEMENTS = 8

_KINDS: Mapping[type, str] = {
    type(None): NULL,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    Decimal: NUMBER,
    str: TEXT,
    dict: OBJECT,
    list: ARRAY,
    tuple: ARRAY,
    datetime: "time",
    date: "time",
}
_ODD = re.compile("[\x00\ud800-\udfff]")
_BLANK = r"[^\S\n]*+"
_DIGITS = r"\d(?:_?\d)*+"
_NUMERIC = (
    rf"{_BLANK}[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?{_BLANK}"  # what float() takes
    rf"|{_BLANK}[+-]?[0-9]{{1,3}}(?:,[0-9]{{3}})*+(?:\.[0-9]+)?[%KMBT]?{_BLANK}"  # spreadsheets: 1,234.5 or 79.9K
)
_NOTHING = rf"{_BLANK}(?:-|null|none|nan|n/a|na)?{_BLANK}"
_is_number = re.compile(_NUMERIC).fullmatch
_is_nothing = re.compile(_NOTHING, re.IGNORECASE).fullmatch
_numbers_among = re.compile(rf"^(?:{_NUMERIC})$", re.MULTILINE).findall
_nothings_among = re.compile(rf"^{_NOTHING}$", re.MULTILINE | re.IGNORECASE).findall


class ItemStyle(StrEnum):
    """How a kind of source writes its items.

    `json`: fields are there or not, values have their own types. `cells`: every value is text, what looks like a number
    is one, what looks like nothing is null. `sparse` (feeds): every field is optional, and null or an empty list means
    that it is not there.
    """

    JSON = "json"
    CELLS = "cells"
    SPARSE = "sparse"


def observe(items: Sequence[RawRecord], style: ItemStyle) -> Shape:
    """The shape of these items."""
    shape = Shape()
    rows = [item.data for item in items]
    if style is ItemStyle.SPARSE:
        rows = [{name: value for name, value in row.items() if not says_nothing(value)} for row in rows]
    for at in range(0, len(rows), _CHUNK):
        _objects(shape, rows[at : at + _CHUNK], _Census(style), 0)
    return shape


def kind_of(value: Any, style: ItemStyle) -> str:
    """The kind of a single value, as `observe` counts it."""
    if style is ItemStyle.CELLS and isinstance(value, str):
        return _cell_kind(value)
    return _type_kind(type(value))


def says_nothing(value: Any) -> bool:
    """What a sparse item has in the place of a field that is not there."""
    return value is None or value == []


class _Census:
    """Counts the kinds of a column of values."""

    __slots__ = ("_cells",)

    def __init__(self, style: ItemStyle) -> None:
        self._cells = style is ItemStyle.CELLS

    def kinds(self, column: Sequence[Any]) -> dict[str, int]:
        types = set(map(type, column))
        if len(types) == 1:
            (only,) = types
            if self._cells and only is str:
                return _cell_kinds(column)
            return {_type_kind(only): len(column)}
        if self._cells:
            return Counter(kind_of(value, ItemStyle.CELLS) for value in column)
        counts: Counter[str] = Counter()
        for each, count in Counter(map(type, column)).items():
            counts[_type_kind(each)] += count
        return counts


def _objects(shape: Shape, rows: Sequence[Mapping[str, Any]], census: _Census, depth: int) -> None:
    """Count objects that stand at one place. Those with the same keys in the same order are taken by columns."""
    shape.add_kinds({OBJECT: len(rows)})
    if shape.rest is not None:
        _values(shape.rest, list(chain.from_iterable(row.values() for row in rows)), census, depth + 1)
        return
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    most = MOST_FIELDS if depth else MOST_COLUMNS
    for names, alike in groups.items():
        for name, column in zip(names, zip(*[row.values() for row in alike], strict=True), strict=True):
            _values(shape.under(storable_name(name), most), column, census, depth + 1)


def _values(shape: Shape, column: Sequence[Any], census: _Census, depth: int) -> None:
    kinds = census.kinds(column)
    inner = OBJECT in kinds and depth < _DEPTH
    if inner:
        shape.add_kinds({kind: count for kind, count in kinds.items() if kind != OBJECT})
        rows = column if len(kinds) == 1 else [value for value in column if isinstance(value, dict)]
        _objects(shape, rows, census, depth)
    else:
        shape.add_kinds(kinds)
    if ARRAY in kinds and depth < _DEPTH:
        _elements(shape, column, census, depth)


def _elements(shape: Shape, column: Iterable[Any], census: _Census, depth: int) -> None:
    """The first elements of each array: of a chart's thousand points they tell as much as all."""
    first = [element for value in column if isinstance(value, list | tuple) for element in islice(value, _ELEMENTS)]
    if first:
        _values(shape.inside(), first, census, depth + 1)


def storable_name(name: str) -> str:
    """A name without what no database takes."""
    return name if name.isascii() and "\0" not in name else _ODD.sub("\N{REPLACEMENT CHARACTER}", name)


def _type_kind(each: type) -> str:
    """The kind of a type; one that no format of ours yields (a source of one's own) is called by its name."""
    known = _KINDS.get(each)
    if known is not None:
        return known
    return next((kind for base, kind in _KINDS.items() if issubclass(each, base)), each.__name__.lower())


def _cell_kinds(column: Sequence[str]) -> dict[str, int]:
    """A column of numbers is recognized at once, any other with one search through all of its cells."""
    try:
        if isfinite(sum(map(float, column))):  # "nan" and "inf" are words as well
            return {NUMBER: len(column)}
    except ValueError:
        pass
    text = "\n".join(column)
    if text.count("\n") >= len(column):  # a cell of several lines
        return Counter(map(_cell_kind, column))
    numbers, nulls = len(_numbers_among(text)), len(_nothings_among(text))
    counts = {NUMBER: numbers, NULL: nulls, TEXT: len(column) - numbers - nulls}
    return {kind: count for kind, count in counts.items() if count}


def _cell_kind(cell: str) -> str:
    if _is_number(cell):
        return NUMBER
    return NULL if _is_nothing(cell) else TEXT
