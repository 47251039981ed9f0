"""Coercions over one field of many items at once: the values, and with each its canonical JSON text.

Reading field by field instead of item by item keeps the work inside one loop a field, and deciding the text together
with the value formats each number once. What a loop does not know at a glance goes to the coercion itself, so that
both always mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from kasparro_core.normalize.canonical import ENCODERS, canonical_decimal, canonical_json
from kasparro_core.normalize.decimals import MAX_DIGITS, decimal
from kasparro_core.normalize.iso import canonical_usual, usual_time
from kasparro_core.normalize.safe import json_value
from kasparro_core.normalize.timestamps import timestamp, timestamp_text
from kasparro_core.normalize.values import Coercion, Refusal

Series = tuple[Sequence[Any], Sequence[str]]
"""The values of one field and their texts, item by item."""

Bulk = Callable[[Sequence[Any]], Series]

REFUSED = ""
"""Stands for the text of a refused value; no JSON text is empty."""

NULL = "null"

_PLAIN_INT = 10**MAX_DIGITS


def bulk(coerce: Coercion) -> Bulk:
    """The coercion, applied to many values."""
    known = _KNOWN.get(coerce)
    return known or (lambda raws: _with_texts(map(coerce, raws)))


def bulk_with_nulls(coerce: Coercion, nulls: frozenset[str]) -> Bulk:
    """The same, with texts that stand for null."""
    if not nulls:
        return bulk(coerce)
    many = bulk(coerce)
    return lambda raws: many([None if isinstance(raw, str) and raw.strip() in nulls else raw for raw in raws])


def constant(value: Any) -> Bulk:
    """The same value for every item."""
    text = canonical_json(value)
    return lambda raws: ([value] * len(raws), [text] * len(raws))


def text_of(value: Any) -> str:
    """The canonical JSON of a coerced value; REFUSED for a Refusal."""
    encoder = ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    return REFUSED if isinstance(value, Refusal) else canonical_json(value)


def _with_texts(values: Iterable[Any]) -> Series:
    values = list(values)
    return values, [encode_basestring(value) if type(value) is str else text_of(value) for value in values]


def _decimals(raws: Sequence[Any]) -> Series:
    values: list[Any] = []
    texts: list[str] = []
    for raw in raws:
        kind = type(raw)
        if kind is Decimal and raw.is_finite():
            value, text = raw, str(raw)
        elif kind is str and len(raw) < MAX_DIGITS and raw.replace(".", "", 1).isdigit() and raw.isascii():
            value = Decimal(raw)
            text = str(value)
        elif kind is int and -_PLAIN_INT < raw < _PLAIN_INT:
            values.append(Decimal(raw))
            texts.append(str(raw))
            continue
        else:
            value, text = raw, "E"  # whatever is left goes the way of those with an exponent
        if "E" in text or len(text) >= MAX_DIGITS:
            value = decimal(raw)
            text = text_of(value)
        elif text[-1] == "0":
            text = canonical_decimal(value)
        values.append(value)
        texts.append(text)
    return values, texts


def _times(raws: Sequence[Any]) -> Series:
    values, texts = [], []
    for raw in raws:
        usual = usual_time(raw) if type(raw) is str else None
        value = usual or timestamp(raw)
        values.append(value)
        texts.append(f'"{canonical_usual(raw)}"' if usual else text_of(value))
    return values, texts


def _time_texts(raws: Sequence[Any]) -> Series:
    values: list[Any] = []
    texts: list[str] = []
    for raw in raws:
        value = canonical_usual(raw) if type(raw) is str and usual_time(raw) else timestamp_text(raw)
        values.append(value)
        texts.append(f'"{value}"' if type(value) is str else text_of(value))
    return values, texts


def _json_values(raws: Sequence[Any]) -> Series:
    values, texts = [], []
    for raw in raws:
        if type(raw) is str and raw.isascii() and "\0" not in raw:
            values.append(raw)
            texts.append(encode_basestring(raw))
        else:
            value = json_value(raw)
            values.append(value)
            texts.append(text_of(value))
    return values, texts


_KNOWN: dict[Coercion, Bulk] = {
    decimal: _decimals,
    json_value: _json_values,
    timestamp: _times,
    timestamp_text: _time_texts,
}
