"""Exact decimals and integers from whatever a source writes.

Nothing here rounds and nothing is guessed: thousands count only when they are grouped properly, and a decimal comma
only where it is declared. Bounds: 1,000 digits, and 1,000 places from the decimal point either way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from kasparro_core.normalize.values import Refusal, shown

DecimalMark = Literal[".", ","]

MAX_DIGITS = 1000
MAX_EXPONENT = 1000

# ASCII digits are spelt out: `\d`, int() and Decimal() also take digits of other scripts, and underscores
_POINT = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|(?=\.[0-9]))"
    r"(?:\.(?P<fraction>[0-9]*))?(?:[eE](?P<exponent>[+-]?[0-9]+))?"
)
_COMMA = re.compile(
    r"(?P<sign>[+-]?)"
    r"(?P<whole>[0-9]+|[1-9][0-9]{0,2}(?P<group>[. \u00a0\u2009\u202f])[0-9]{3}(?:(?P=group)[0-9]{3})*|(?=,[0-9]))"
    r"(?:,(?P<fraction>[0-9]*))?(?:[eE](?P<exponent>[+-]?[0-9]+))?"
)
_GROUPING = str.maketrans("", "", ",. \u00a0\u2009\u202f")
_INT_MAX = 10**MAX_DIGITS
_INT_MIN = -_INT_MAX
_TEXT_BOUND = 4 * MAX_DIGITS
_ZERO = Decimal(0)


def decimal_coercion(mark: DecimalMark = ".") -> Callable[[Any], Decimal | Refusal | None]:
    """The decimal coercion for texts with this decimal mark. Numbers mean the same under both."""
    if mark == ".":
        return decimal
    return _with_comma


def decimal(value: Any) -> Decimal | Refusal | None:
    """An exact Decimal; text has a decimal point, and commas only between groups of three digits."""
    kind = type(value)
    if kind is Decimal:
        # a text below the bound and without exponent proves both bounds at once
        if value.is_finite() and "E" not in (text := str(value)) and len(text) < MAX_DIGITS:
            return value  # type: ignore[no-any-return]
        return _bounded(value, value)
    if kind is int:
        return Decimal(value) if _INT_MIN < value < _INT_MAX else _out_of_range(value)
    if kind is str:
        if len(value) < MAX_DIGITS and value.replace(".", "", 1).isdigit() and value.isascii():
            return Decimal(value)
        return _from_text(value, _POINT, ".")
    if value is None:
        return None
    return _from_other(value)


def _with_comma(value: Any) -> Decimal | Refusal | None:
    return _from_text(value, _COMMA, ",") if isinstance(value, str) else decimal(value)


def integer(value: Any) -> int | Refusal | None:
    """A whole number, from anything that `decimal` reads as one (`3.0` and `1,234` too)."""
    if type(value) is int:
        return value if _INT_MIN < value < _INT_MAX else _out_of_range(value)
    return _whole(decimal(value), value)


def integer_coercion(mark: DecimalMark = ".") -> Callable[[Any], int | Refusal | None]:
    """The integer coercion for texts with this decimal mark."""
    if mark == ".":
        return integer

    def coerce(value: Any) -> int | Refusal | None:
        return _whole(_with_comma(value), value)

    return coerce


def _whole(number: Decimal | Refusal | None, value: Any) -> int | Refusal | None:
    if number is None:
        return None
    if isinstance(number, Refusal):
        return number if number.code == "decimal_out_of_range" else _no_integer(value)
    whole = int(number)
    return whole if whole == number else _no_integer(value)


def _from_text(value: str, pattern: re.Pattern[str], mark: str) -> Decimal | Refusal | None:
    text = value.strip()
    if not text:
        return None
    if len(text) > _TEXT_BOUND:
        return _out_of_range(value)
    match = pattern.fullmatch(text)
    if match is None:
        return Refusal("decimal_invalid", f"Expected a number with decimal {mark!r}, found {shown(value)}.")
    sign, whole, fraction, exponent = match.group("sign", "whole", "fraction", "exponent")
    digits = whole.translate(_GROUPING) + "." + (fraction or "")
    if not digits.strip("0."):
        return Decimal(sign + "0")
    # an exponent of many digits is refused before Decimal() meets it: it would signal on its own limit
    if exponent and len(exponent.lstrip("+-0")) > 5:
        return _out_of_range(value)
    return _bounded(Decimal(f"{sign}{digits}E{exponent}" if exponent else sign + digits), value)


def _from_other(value: Any) -> Decimal | Refusal | None:
    if isinstance(value, bool):
        return _no_decimal(value)
    if isinstance(value, float):
        # repr is the shortest text that reads back as this float: what its source wrote, as far as anyone can know
        return _bounded(Decimal(repr(float(value))), value)
    if isinstance(value, str):
        return decimal(str(value))
    if isinstance(value, int):
        return decimal(int(value))
    if isinstance(value, Decimal):
        return _bounded(Decimal(value), value)
    return _no_decimal(value)


def _bounded(number: Decimal, value: Any) -> Decimal | Refusal:
    if not number.is_finite():
        return _no_decimal(value)
    if not number:
        return number if abs(number.adjusted()) <= MAX_EXPONENT else _ZERO
    if abs(number.adjusted()) > MAX_EXPONENT or len(number.as_tuple().digits) > MAX_DIGITS:
        return _out_of_range(value)
    return number


def _no_decimal(value: Any) -> Refusal:
    return Refusal("decimal_invalid", f"Expected a finite number, found {shown(value)}.")


def _no_integer(value: Any) -> Refusal:
    return Refusal("integer_invalid", f"Expected a whole number, found {shown(value)}.")


def _out_of_range(value: Any) -> Refusal:
    return Refusal(
        "decimal_out_of_range",
        f"Expected a number of at most {MAX_DIGITS} digits within 1E±{MAX_EXPONENT}, found {shown(value)}.",
    )
