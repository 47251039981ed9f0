"""What a change means for a single item: whether it shows it, and what is left of it without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kasparro_core.drift.observe import ItemStyle, kind_of, says_nothing
from kasparro_core.drift.shape import NULL
from kasparro_core.model.drift import ANY, ELEMENT, Alteration, Change, Path

Test = Callable[[Any], bool]


def shows(data: Mapping[str, Any], change: Change, style: ItemStyle) -> bool:
    """Whether an item has the shape that a change leads to."""
    *outer, last = change.path
    match change.change:
        case Alteration.ADDED:
            return any(_has(parent, last, style) for parent in _reached(data, outer))
        case Alteration.RENAMED:
            *around, name = change.to or change.path
            return any(_has(parent, name, style) for parent in _reached(data, around))
        case Alteration.REMOVED:
            return any(isinstance(p, dict) and not _has(p, last, style) for p in _reached(data, outer))
        case Alteration.RETYPED:
            return any(kind_of(value, style) in change.kinds for value in _reached(data, change.path))
        case Alteration.NULLABILITY:
            return any(kind_of(value, style) == NULL for value in _reached(data, change.path))


def without(data: Mapping[str, Any], change: Change, style: ItemStyle) -> Mapping[str, Any]:
    """The item without the values that a change brought: those of an added or renamed field, those of a new kind. The
    item itself is left as it is."""
    left: Mapping[str, Any] = data
    match change.change:
        case Alteration.ADDED:
            left = _dropped(data, change.path, lambda _: True)
        case Alteration.RENAMED:
            left = _dropped(data, change.to or change.path, lambda _: True)
        case Alteration.RETYPED:
            left = _dropped(data, change.path, lambda value: kind_of(value, style) in change.kinds)
    return left


def _has(parent: Any, name: str, style: ItemStyle) -> bool:
    if not isinstance(parent, dict) or name not in parent:
        return False
    return style is not ItemStyle.SPARSE or not says_nothing(parent[name])


def _reached(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    head, *rest = path
    for inner in _inner(value, head):
        yield from _reached(inner, rest)


def _inner(value: Any, step: str) -> Sequence[Any]:
    if step == ELEMENT:
        return value if isinstance(value, list) else ()
    if not isinstance(value, dict):
        return ()
    if step == ANY and ANY not in value:
        return list(value.values())
    return (value[step],) if step in value else ()


def _dropped(value: Any, path: Path, unwanted: Test) -> Any:
    """The value without what stands at the path and is unwanted, copied as far as it changes."""
    head, *rest = path
    if head == ELEMENT and isinstance(value, list):
        return [
            each if rest == [] else _dropped(each, tuple(rest), unwanted)
            for each in value
            if rest or not unwanted(each)
        ]
    if not isinstance(value, dict):
        return value
    names = list(value) if head == ANY and ANY not in value else [head] if head in value else []
    left = dict(value)
    for name in names:
        if rest:
            left[name] = _dropped(value[name], tuple(rest), unwanted)
        elif unwanted(value[name]):
            del left[name]
    return left
