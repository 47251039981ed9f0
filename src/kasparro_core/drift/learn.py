"""The memory of a source's shape: what a run adds to it, what fades, and when it says something else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from kasparro_core.drift.keys import is_open
from kasparro_core.drift.rules import KEPT_ITEMS, LEARNED
from kasparro_core.drift.shape import ARRAY, MOST_COLUMNS, MOST_FIELDS, NULL, OBJECT, Shape
from kasparro_core.drift.traces import keep_few
from kasparro_core.model.drift import ANY, ELEMENT, Alteration, Change, Path

_LEVELS = (0.98, 0.6)
_NULL_LEVELS = (0.0, 0.02, 0.5)
_ODD_KIND = 0.01


def learned(old: Shape, seen: Shape, changes: Iterable[Change] = (), *, wary: bool = False) -> Shape:
    """The memory after a run. What has changed is remembered as the run saw it, everything else with both. `wary`: what
    is new and was not told is not remembered, so that it is still new when there is more of it."""
    memory = old.copy()
    told: set[Path] = set()
    for change in changes:
        _forget(memory, change.path)
        told |= {change.path, change.to or change.path}
    _learn(memory, seen, told if wary else None, (), MOST_COLUMNS)
    memory.bound()
    keep_few(memory)
    if memory.count > KEPT_ITEMS:
        _fade(memory, KEPT_ITEMS / memory.count)
    return memory


def places(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Shape]]:
    """Every place of a shape with its path, the items themselves left out."""
    for name, each in sorted(shape.members()):
        yield (*path, name), each
        yield from places(each, (*path, name))
    if shape.elements is not None:
        yield (*path, ELEMENT), shape.elements
        yield from places(shape.elements, (*path, ELEMENT))


def outline(shape: Shape) -> dict[str, Any]:
    """What a memory says, without its numbers: the fields, their kinds, how surely each is there and filled."""
    return {"/".join(path): [*_known_kinds(each), _level(each), _null_level(each)] for path, each in places(shape)}


def is_required(shape: Shape) -> bool:
    """Whether a remembered field is there in (nearly) all items."""
    return shape.presence >= _LEVELS[0]


def is_sure(memory: Shape, change: Change) -> bool:
    """Whether a single item can show a change: none of those before had the shape that it leads to. One that was there
    now and then is there in healthy items too, also when the change was taken back."""
    place: Shape | None = memory
    for step in change.to or change.path:
        place = place and _inside(place, step)
    match change.change:
        case Alteration.ADDED | Alteration.RENAMED:
            return place is None
        case Alteration.RETYPED:
            return place is None or not change.kinds & place.kinds.keys()
        case Alteration.REMOVED:
            return place is not None and place.count == place.of
        case Alteration.NULLABILITY:
            return place is not None and not place.kinds.get(NULL)


def has_news(memory: Shape, seen: Shape) -> bool:
    """Whether there is a field that is not remembered."""
    if memory.rest is None and not seen.fields.keys() <= memory.fields.keys():
        return True
    return any(has_news(memory.fields[name], each) for name, each in seen.fields.items() if name in memory.fields)


def _known_kinds(shape: Shape) -> list[str]:
    least = max(1.0, _ODD_KIND * shape.filled)
    return sorted(kind for kind, count in shape.kinds.items() if kind == NULL or count >= least)


def _level(shape: Shape) -> int:
    return sum(shape.presence < level for level in _LEVELS)


def _null_level(shape: Shape) -> int:
    return sum(shape.null_share > level for level in _NULL_LEVELS)


def _learn(memory: Shape, seen: Shape, told: Collection[Path] | None, path: Path, most: int = MOST_FIELDS) -> None:
    """`told`: the paths that may be new; None: all may."""
    takes_all = told is None or memory.objects < LEARNED or is_open(memory, seen)
    kinds = {kind: n for kind, n in seen.kinds.items() if told is None or _may_be(memory, kind)}
    memory.add_kinds(kinds)
    if memory.of:  # a value of a kind that is not taken is none that was missing
        memory.of = max(memory.count, memory.of - seen.count + sum(kinds.values()))
    memory.traces.update(seen.traces)
    if OBJECT in kinds:
        if seen.rest is not None:
            _learn(memory.collapse(), seen.rest, told, (*path, ANY))
        for each in memory.fields.values():
            each.of += seen.objects
        for name, each in seen.fields.items():
            if takes_all or name in memory.fields or (told is not None and (*path, name) in told):
                _learn_field(memory.under(name, most), each, seen.objects, told, (*path, name))
    if ARRAY in kinds and seen.elements is not None:
        _learn(memory.inside(), seen.elements, told, (*path, ELEMENT))


def _learn_field(known: Shape, seen: Shape, parents: int, told: Collection[Path] | None, path: Path) -> None:
    if not known.of:
        known.of = parents
    _learn(known, seen, told, path)


def _may_be(memory: Shape, kind: str) -> bool:
    """Whether a kind is no news at a place, or the place itself is new."""
    return kind == NULL or kind in memory.kinds or memory.filled < LEARNED


def _inside(shape: Shape, step: str) -> Shape | None:
    return shape.elements if step == ELEMENT else shape.rest if step == ANY else shape.fields.get(step)


def _forget(memory: Shape, path: Path) -> None:
    *outer, last = path
    for step in outer:
        inner = _inside(memory, step)
        if inner is None:
            return
        memory = inner
    if last == ELEMENT:
        memory.elements = None
    elif last == ANY:
        memory.rest = None
    else:
        memory.fields.pop(last, None)


def _fade(shape: Shape, part: float) -> None:
    """Fewer of everything, none of nothing: what was seen once is not forgotten."""
    absent = max(0, shape.of - shape.count)
    shape.kinds = {kind: max(1, round(count * part)) for kind, count in shape.kinds.items() if count}
    shape.of = shape.count + (max(1, round(absent * part)) if absent else 0) if shape.of else 0
    for _, each in shape.members():
        _fade(each, part)
    if shape.elements is not None:
        _fade(shape.elements, part)
