"""Places in a configuration: tuples of keys, and how they are looked up and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys (and array positions) from the root of the document."""

MISSING = object()
"""Stands for a value that is not there."""


def lookup(document: Any, path: KeyPath) -> Any:
    """The value at a path, or MISSING."""
    value = document
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value


def replaced(document: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """A copy of the document with `value` at `path`; tables on the way are made, anything else there gives way."""
    key, rest = str(path[0]), path[1:]
    if not rest:
        return {**document, key: value}
    below = document.get(key)
    return {**document, key: replaced(below if isinstance(below, Mapping) else {}, rest, value)}


def shown(path: KeyPath) -> str:
    """`sources.prices.mapping.key[0]`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.removeprefix(".")
