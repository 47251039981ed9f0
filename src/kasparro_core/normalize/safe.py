"""JSON values that pass through unmapped: checked against what every store can hold, otherwise as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.normalize.decimals import decimal, integer
from kasparro_core.normalize.text import storable
from kasparro_core.normalize.values import Refusal, shown

MAX_DEPTH = 32
"""How deep lists and objects may be nested in one another."""


class _RefusedError(Exception):
    """Carries a Refusal out of a nested value."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def json_value(value: Any) -> Any:
    """The value itself, nested or not, with text as text; floats become the Decimal they were written as.

    Refused: text that no store holds, numbers beyond the bounds, NaN, deeper nesting than MAX_DEPTH, Python objects
    that are not JSON.
    """
    check = _SCALARS.get(type(value))
    if check is not None:
        return check(value)
    try:
        return _nested(value, MAX_DEPTH)
    except _RefusedError as refused:
        return refused.refusal


def presentable(value: Any) -> Any:
    """The nearest JSON value, for rejections, which must be kept whatever they hold. Never raises.

    What `json_value` refuses becomes text that shows it: "NaN", escaped surrogates, "a Python object".
    """
    return _present(value, MAX_DEPTH)


def _text(value: str) -> str | Refusal:
    return value if storable(value) else Refusal("text_invalid", f"Expected text, found {shown(value)}.")


def _as_it_is(value: Any) -> Any:
    return value


_SCALARS: Mapping[type, Callable[[Any], Any]] = {
    str: _text,
    int: integer,
    Decimal: decimal,
    float: decimal,
    bool: _as_it_is,
    type(None): _as_it_is,
}


def _nested(value: Any, depth: int) -> Any:
    if depth < 0:
        raise _RefusedError(Refusal("json_too_deep", f"Expected at most {MAX_DEPTH} levels of lists and objects."))
    if isinstance(value, list | tuple):
        return [_nested(item, depth - 1) for item in value]
    if isinstance(value, Mapping):
        return {_name(name): _nested(item, depth - 1) for name, item in value.items()}
    result = _scalar(value)
    if isinstance(result, Refusal):
        raise _RefusedError(result)
    return result


def _name(name: Any) -> str:
    if isinstance(name, str) and storable(name):
        return name
    raise _RefusedError(Refusal("json_invalid", f"Expected text as the name of a field, found {shown(name)}."))


def _scalar(value: Any) -> Any:
    for kind in (bool, str, int, Decimal, float):
        if isinstance(value, kind):
            return _SCALARS[kind](value)
    if isinstance(value, datetime) and value.tzinfo:
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None else Refusal("json_invalid", f"Expected a JSON value, found {shown(value)}.")


def _present(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, list | tuple | Mapping):
        if depth <= 0:
            return shown(value)
        if isinstance(value, Mapping):
            return {_present(str(name), 0): _present(item, depth - 1) for name, item in value.items()}
        return [_present(item, depth - 1) for item in value]
    result = _scalar(value)
    return shown(value) if isinstance(result, Refusal) else result
