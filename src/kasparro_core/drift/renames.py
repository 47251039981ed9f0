"""Fields that went while a like one came: recognized by their names and by their values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher

from kasparro_core.drift.shape import NULL, OBJECT, Shape
from kasparro_core.drift.traces import likeness
from kasparro_core.model.drift import Path, path_text

SURE_FROM = 0.6
"""So sure of it at least (0 to 1), else one field went and another came."""

MOST_PAIRS = 10_000
"""Where more fields than these went and came at once (a table with another header), nobody is looked for."""

_NAMES, _VALUES = 0.35, 0.65
_PART = 0.8
_UNTRACED = 0.5
_SLACK = 0.1
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field that went (`count`: how many of its `parents` do not have it any more) or came (how many have it)."""

    path: Path
    shape: Shape
    count: int
    parents: int
    open_at: frozenset[int]

    @property
    def place(self) -> str:
        """Its dotted path."""
        return path_text(self.path)


def paired(gone: Sequence[Candidate], new: Sequence[Candidate]) -> list[tuple[Candidate, Candidate, Decimal]]:
    """Who became whom, and how sure that is: the likest pairs first, each field once."""
    if len(gone) * len(new) > MOST_PAIRS:
        return []
    pairs = [(_sureness(one, other), one, other) for one in gone for other in new]
    likely = sorted((pair for pair in pairs if pair[0] >= SURE_FROM), key=lambda p: (-p[0], p[1].path, p[2].path))
    taken: set[int] = set()
    found = []
    for sureness, one, other in likely:
        if taken.isdisjoint((id(one), id(other))):
            taken |= {id(one), id(other)}
            found.append((one, other, Decimal(f"{sureness:.2f}")))
    return found


def _sureness(gone: Candidate, new: Candidate) -> float:
    """0 for what cannot be: fields of other objects and other names, of other kinds, or not in as many items."""
    if gone.path[:-1] != new.path[:-1] and gone.path[-1] != new.path[-1]:
        return 0.0
    if abs(gone.count / gone.parents - new.count / new.parents) > _SLACK:
        return 0.0
    if not _same_kind(gone.shape, new.shape):
        return 0.0
    return _NAMES * _alike(gone.path[-1], new.path[-1]) + _VALUES * _values_alike(gone.shape, new.shape)


def _same_kind(one: Shape, other: Shape) -> bool:
    return bool((one.kinds.keys() & other.kinds.keys()) - {NULL})


def _values_alike(one: Shape, other: Shape) -> float:
    if one.kinds.get(OBJECT) and other.kinds.get(OBJECT):
        names = one.fields.keys() | other.fields.keys()
        return len(one.fields.keys() & other.fields.keys()) / len(names) if names else _UNTRACED
    return likeness(one, other) if one.traces and other.traces else _UNTRACED


def _alike(one: str, other: str) -> float:
    """How alike two names are, whatever their case and what parts their words."""
    words, others = _words(one), _words(other)
    ratio = SequenceMatcher(None, "".join(words), "".join(others), autojunk=False).ratio()
    if words and others and (set(words) <= set(others) or set(others) <= set(words)):
        return max(ratio, _PART)
    return ratio


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)] or [name.lower()]
