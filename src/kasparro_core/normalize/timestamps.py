"""Instants: whatever a source writes for a time, as an aware UTC datetime, or an exact refusal.

Undeclared, these are read: ISO 8601 and its profiles, dates of mail and feeds, and epoch numbers whose size leaves one
unit possible. A time without a zone is UTC unless a zone is declared. Impossible dates and those with several readings
are refused, never repaired: 2024-02-30, hour 25, 24:01, a leap second, 03/04/2024, a local time that the clocks skipped
or showed twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Literal

from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.normalize.decimals import decimal
from kasparro_core.normalize.formats import Parser, compile_format
from kasparro_core.normalize.iso import parse_iso, usual_time
from kasparro_core.normalize.prose import parse_prose
from kasparro_core.normalize.values import Refusal, shown
from kasparro_core.normalize.zones import AmbiguousTimeError, localize

EpochUnit = Literal["s", "ms", "us", "ns"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POWERS: dict[EpochUnit, int] = {"s": 6, "ms": 3, "us": 0, "ns": -3}
# Each unit gives a date from 1973 to 2200 in its own range of numbers; the ranges do not touch
_UNIT_FROM, _UNIT_TO = 10**8, 7_258_118_400
_MAX_CHARS = 120
_INT_BOUND = 10**24
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})?")


def timestamp_coercion(
    formats: Sequence[str] = (), unit: EpochUnit | None = None, zone: tzinfo = UTC
) -> Callable[[Any], datetime | Refusal | None]:
    """The coercion for texts in one of `formats` (the first that fits), or for epoch numbers in `unit`; with neither,
    for whatever has one reading. `zone` is where times without a zone were read off the clock."""
    parse = _by_formats(formats) if formats else _in_unit(unit) if unit else _undeclared
    undeclared = parse is _undeclared

    def coerce(value: Any) -> datetime | Refusal | None:
        if value is None:
            return None
        if undeclared and type(value) is str and (usual := usual_time(value)):
            return usual
        try:
            moment = _read(value, parse) if isinstance(value, str) else _convert(value, unit)
            if moment is None or moment.tzinfo is UTC:
                return moment
            return moment.astimezone(UTC) if moment.tzinfo else localize(moment, zone)
        except AmbiguousTimeError as error:
            return Refusal("timestamp_ambiguous", f"Expected a time with one reading, found {shown(value)}: {error}.")
        except OverflowError:
            return Refusal("timestamp_out_of_range", f"Expected a time in the years 1 to 9999, found {shown(value)}.")
        except ValueError as error:
            return Refusal("timestamp_invalid", f"Expected a time, found {shown(value)}: {error}.")

    return coerce


def timestamp_text_coercion(
    formats: Sequence[str] = (), unit: EpochUnit | None = None, zone: tzinfo = UTC
) -> Callable[[Any], str | Refusal | None]:
    """The same coercion for an attribute, whose value is JSON: RFC 3339 text."""
    coerce = timestamp_coercion(formats, unit, zone)

    def coerce_to_text(value: Any) -> str | Refusal | None:
        moment = coerce(value)
        return rfc3339(moment) if isinstance(moment, datetime) else moment

    return coerce_to_text


def _read(value: str, parse: Parser) -> datetime | None:
    text = value.strip()
    if not text:
        return None
    moment = parse(text) if len(text) <= _MAX_CHARS else None
    if moment is None:
        raise ValueError("its form is not known")
    return moment


def _convert(value: Any, unit: EpochUnit | None) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _epoch_number(value, unit)
    raise ValueError("it is neither text nor a number")


def _undeclared(text: str) -> datetime | None:
    if _NUMBER.fullmatch(text) and len(text) not in {4, 7, 8}:
        return _number_text(text)
    return parse_iso(text) or parse_prose(text)


def _by_formats(formats: Sequence[str]) -> Parser:
    parsers = [compile_format(each) for each in formats]

    def parse(text: str) -> datetime | None:
        for parser in parsers:
            moment = parser(text)
            if moment is not None:
                return moment
        raise ValueError(f"declared is {' or '.join(formats)}")

    return parse


def _number_text(text: str) -> datetime | None:
    compact = _COMPACT.fullmatch(text)
    if compact is None:
        return _epoch_text(text, None)
    year, month, day, hour, minute, second = (int(part or 0) for part in compact.groups())
    moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  (its zone is known later)
    if len(text) == 12:
        raise AmbiguousTimeError(f"it can be {moment} or milliseconds since 1970")
    return moment


def _in_unit(unit: EpochUnit) -> Parser:
    scale = 10 ** max(_POWERS[unit], 0)
    whole = _POWERS[unit] >= 0

    def parse(text: str) -> datetime | None:
        if whole and text.isdigit() and text.isascii():
            return _EPOCH + timedelta(0, 0, int(text) * scale)
        return _epoch_text(text, unit)

    return parse


def _epoch_text(text: str, unit: EpochUnit | None) -> datetime:
    return _epoch_number(int(text) if text.isdigit() and text.isascii() else text, unit)


def _epoch_number(value: str | float | Decimal, unit: EpochUnit | None) -> datetime:
    number = value if type(value) is int and abs(value) < _INT_BOUND else decimal(value)
    if not isinstance(number, int | Decimal):
        raise ValueError("it is no number of seconds or parts of seconds since 1970")
    return _epoch(number, unit or _unit_of(number))


def _unit_of(number: int | Decimal) -> EpochUnit:
    for unit, power in _POWERS.items():
        scale = 10 ** (6 - power)
        if _UNIT_FROM * scale <= number < _UNIT_TO * scale:
            return unit
    raise AmbiguousTimeError("its size does not tell the unit; declare `unit`")


def _epoch(number: int | Decimal, unit: EpochUnit) -> datetime:
    shift = _POWERS[unit]
    if isinstance(number, Decimal):
        # whole microseconds by integers alone: Decimal arithmetic would round to the context's precision
        sign, digits, exponent = number.as_tuple()
        number = int("".join(map(str, digits))) * (-1 if sign else 1)
        shift += int(exponent)
    return _EPOCH + timedelta(microseconds=number * 10**shift if shift >= 0 else number // 10**-shift)


timestamp = timestamp_coercion()
"""The coercion without declarations."""

timestamp_text = timestamp_text_coercion()
"""The same, to RFC 3339 text."""
