"""One text for one value: canonical decimals, times and JSON, for hashes, stores and the API alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from json.encoder import encode_basestring
from typing import Any


def canonical_decimal(value: Decimal) -> str:
    """The plain text of a finite Decimal: no exponent, no trailing zeros, no minus before zero.

    Raises ValueError for NaN and infinities.

    >>> canonical_decimal(Decimal("1.50E+3")), canonical_decimal(Decimal("-0.0"))
    ('1500', '0')
    """
    if not value.is_finite():
        raise ValueError(f"{value} has no place among numbers")
    text = str(value)
    if text[-1] != "0" and "E" not in text:
        return text
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def rfc3339(value: datetime) -> str:
    """An aware datetime as RFC 3339 text in UTC ("2024-01-31T10:00:00Z"), with microseconds where there are any."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat()[:-6] + "Z"  # in place of +00:00


def canonical_json(value: Any) -> str:
    """Compact JSON with sorted keys, the same text for equal values.

    Takes None, bool, int, finite Decimal and float, str, aware datetime, and mappings (str keys), lists and tuples of
    them. Decimals and floats are number literals in canonical form, so 1, 1.0 and Decimal("1.00") are one text.
    Raises TypeError for anything else and ValueError for NaN and infinities.
    """
    encoder = ENCODERS.get(type(value))
    return encoder(value) if encoder else _encode_subclass(value)


def parse_json(text: str | bytes) -> Any:
    """JSON with exact numbers: integers as int, those with fraction or exponent as Decimal.

    Raises ValueError for text that is not JSON, NaN and Infinity included.
    """
    if isinstance(text, str):
        return _DECODER.decode(text)
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)


def content_hash(text: str) -> str:
    """32 hexadecimal digits for a canonical text (BLAKE2b, 128 bits)."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def _object(value: Mapping[str, Any]) -> str:
    encoders, quote = ENCODERS, encode_basestring
    return (
        "{"
        + ",".join(
            [f"{quote(key)}:{encoders.get(type(item := value[key]), _encode_subclass)(item)}" for key in sorted(value)]
        )
        + "}"
    )


def _array(value: list[Any] | tuple[Any, ...]) -> str:
    return "[" + ",".join([canonical_json(item) for item in value]) + "]"


def _encode_subclass(value: Any) -> str:
    for base in (bool, int, float, Decimal, str, datetime):
        if isinstance(value, base):
            return ENCODERS[base](value)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list | tuple):
        return _array(value)
    raise TypeError(f"no canonical JSON for {type(value).__name__}")


ENCODERS: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring,
    Decimal: canonical_decimal,
    int: int.__repr__,
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    float: lambda value: canonical_decimal(Decimal(repr(float(value)))),
    datetime: lambda value: f'"{rfc3339(value)}"',
    dict: _object,
    list: _array,
    tuple: _array,
}
"""The encoder of each exact type."""
