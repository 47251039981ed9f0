"""Field paths: `a.b[0].c`, compiled once into a getter.

A path is first tried as a literal name, because CSV headers and JSON keys may hold dots and brackets ("Vol.",
"price(USD)"); then as steps. Whatever is not there is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kasparro_core.normalize.values import is_nothing

Getter = Callable[[Mapping[str, Any]], Any]
Reader = Callable[[Sequence[Mapping[str, Any]]], list[Any]]

_STEP = re.compile(r"([^.\[\]]+)|\[(-?[0-9]{1,9})\]")
_STEPS = re.compile(r"(?:[^.\[\]]+|\[-?[0-9]{1,9}\])(?:\.[^.\[\]]+|\[-?[0-9]{1,9}\])*")


def steps(path: str) -> tuple[str | int, ...]:
    """The steps of a path: names and indexes. A path that is no well-formed one is a single literal name.

    >>> steps("quotes.USD[0]"), steps("Vol.")
    (('quotes', 'USD', 0), ('Vol.',))
    """
    if not _STEPS.fullmatch(path):
        return (path,)
    return tuple(name or int(index) for name, index in _STEP.findall(path))


def getter(path: str) -> Getter:
    """The function that finds `path` in an item, or None."""
    walk = steps(path)
    if walk == (path,):
        return lambda item: item.get(path)

    def get(item: Mapping[str, Any]) -> Any:
        literal = item.get(path)
        if literal is not None:
            return literal
        return _walk(item, walk)

    return get


def reader(paths: Sequence[str], get: Getter) -> Reader:
    """The function that reads one field of many items, given its paths and its getter."""
    name = paths[0] if len(paths) == 1 else ""
    if name and steps(name) == (name,):
        return lambda items: [item.get(name) for item in items]
    return lambda items: list(map(get, items))


def first_of(paths: Sequence[str], nulls: frozenset[str] = frozenset()) -> Getter:
    """The function that finds the first of `paths` that holds something (null, blank text and `nulls` are nothing)."""
    if len(paths) == 1:
        return getter(paths[0])
    getters = [getter(path) for path in paths]

    def get(item: Mapping[str, Any]) -> Any:
        for each in getters:
            value = each(item)
            if not is_nothing(value, nulls):
                return value
        return None

    return get


def _walk(item: Any, walk: tuple[str | int, ...]) -> Any:
    for step in walk:
        if type(item) is dict:
            item = item.get(step)
        elif isinstance(step, str):
            item = item.get(step) if isinstance(item, Mapping) else None
        elif isinstance(item, list | tuple):
            item = item[step] if -len(item) <= step < len(item) else None
        else:
            return None
        if item is None:
            return None
    return item
