"""Coercions: total functions from whatever a source sent to the value a field wants.

A coercion never raises. It returns the value, None (the source gave nothing), or a Refusal that says what was
expected and found. Raw values are JSON-like: text, int, Decimal, float, bool, None, list, dict; datetimes are welcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

_SHOWN_CHARS = 60
_SHOWN_INT = 10**_SHOWN_CHARS


class Refusal(NamedTuple):
    """Why a raw value is not accepted: a short stable word, a sentence, and the field where that is known."""

    code: str
    message: str
    path: str = ""


Coercion = Callable[[Any], Any]
"""From a raw value to the value, None, or a Refusal."""


def shown(value: Any) -> str:
    """A raw value for a message: short, whatever its size or depth."""
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "…")
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, int):
        # str() of an int beyond 4,300 digits raises
        return str(value) if -_SHOWN_INT < value < _SHOWN_INT else f"an integer of more than {_SHOWN_CHARS} digits"
    if isinstance(value, float | Decimal):
        return str(value)[:_SHOWN_CHARS]
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"a Python {type(value).__name__}"


def boolean(value: Any) -> bool | Refusal | None:
    """true/false, yes/no, 1/0, as a boolean, a number or text in any case."""
    if value is None or value is True or value is False:
        return value
    word = value.strip().lower() if isinstance(value, str) else value
    if word == "":
        return None
    if isinstance(word, str | int | float) or (isinstance(word, Decimal) and word.is_finite()):
        known = _BOOLEANS.get(word)
        if known is not None:
            return known
    return Refusal("boolean_invalid", f"Expected true or false, found {shown(value)}.")


# 1.0 and Decimal("1") are found under 1
_BOOLEANS: dict[str | float | Decimal, bool] = {
    **dict.fromkeys(("true", "yes", "1", 1), True),
    **dict.fromkeys(("false", "no", "0", 0), False),
}


def is_nothing(value: Any, nulls: frozenset[str] = frozenset()) -> bool:
    """True for null, blank text, and the texts (compared without surrounding blanks) that stand for null."""
    if value is None:
        return True
    return isinstance(value, str) and (not (bare := value.strip()) or bare in nulls)


def with_nulls(coerce: Coercion, nulls: Iterable[str]) -> Coercion:
    """The coercion, with further texts that stand for null."""
    words = frozenset(word.strip() for word in nulls)
    if not words:
        return coerce

    def coerce_or_null(value: Any) -> Any:
        if isinstance(value, str) and value.strip() in words:
            return None
        return coerce(value)

    return coerce_or_null
