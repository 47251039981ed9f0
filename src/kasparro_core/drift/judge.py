"""What changed between the remembered shape of a source and the one that a run has seen.

One change is told once: what stands inside of a field that was added, removed or retyped is part of that, and a field
that went while a like one came was renamed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kasparro_core.drift.keys import is_column_of_data, is_open
from kasparro_core.drift.renames import Candidate, paired
from kasparro_core.drift.rules import Rules
from kasparro_core.drift.shape import NULL, Shape, kinds_text
from kasparro_core.model.drift import ANY, ELEMENT, Alteration, Change, Path


def changes(old: Shape, new: Shape, rules: Rules) -> list[Change]:
    """The changes from the remembered shape to the seen one, by path. Of a map, one for each of its keys."""
    judge = _Judge(rules)
    judge.compare((), old, new)
    return sorted([*judge.found, *judge.comings_and_goings()], key=lambda change: (change.path, change.change))


def told(found: Sequence[Change]) -> list[Change]:
    """Changes as they are told: what happened under several keys of a map is one change, at `*`."""
    alike: defaultdict[tuple[object, ...], list[Change]] = defaultdict(list)
    for change in found:
        alike[change.change, _general(change.path, change.open_at), change.to and change.to[-1]].append(change)
    return [_as_one(same) for same in alike.values()]


def _as_one(same: Sequence[Change]) -> Change:
    first = same[0]
    if len(same) == 1:
        return first
    to = first.to and _general(first.to, first.open_at)
    kinds = frozenset(kind for each in same for kind in each.kinds)
    return replace(first, path=_general(first.path, first.open_at), to=to, kinds=kinds)


def _general(path: Path, open_at: frozenset[int]) -> Path:
    return tuple(ANY if place in open_at else step for place, step in enumerate(path))


class _Judge:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.found: list[Change] = []
        self._gone: list[Candidate] = []
        self._new: list[Candidate] = []
        self._open: set[int] = set()

    def compare(self, path: Path, old: Shape, new: Shape) -> None:
        """A place that both know: kinds and nulls, then what is inside."""
        if path and (change := self._altered(path, old, new)) is not None:
            self.found.append(change)
            return
        if old.objects and new.objects and (old.fields or old.rest is not None):
            self._compare_objects(path, old, new)
        if old.elements is not None and new.elements is not None:
            self.compare((*path, ELEMENT), old.elements, new.elements)

    def comings_and_goings(self) -> Iterator[Change]:
        """Fields that were renamed, and those that only came or only went."""
        renamed = paired(self._gone, self._new)
        for gone, came, confidence in renamed:
            yield Change(
                Alteration.RENAMED, gone.path, gone.place, came.place, confidence, came.path, open_at=gone.open_at
            )
        seen = {id(each) for gone, came, _ in renamed for each in (gone, came)}
        for gone in self._gone:
            if id(gone) not in seen:
                yield _removed(gone)
        for came in self._new:
            if id(came) not in seen:
                yield Change(Alteration.ADDED, came.path, None, _kinds(came.shape), open_at=came.open_at)

    def _altered(self, path: Path, old: Shape, new: Shape) -> Change | None:
        kinds = self._rules.retyped(old, new)
        if kinds:
            before, after = kinds_text(old), kinds_text(new)
            return Change(Alteration.RETYPED, path, before, after, kinds=kinds, open_at=frozenset(self._open))
        if self._rules.nullified(old, new):
            before, after = (f"null in {each.null_share:.0%}" for each in (old, new))
            return Change(Alteration.NULLABILITY, path, before, after, open_at=frozenset(self._open))
        return None

    def _compare_objects(self, path: Path, old: Shape, new: Shape) -> None:
        if not is_open(old, new):
            for name in old.fields.keys() | new.fields.keys():
                self._compare_field((*path, name), old, new, name)
            return
        place = len(path)
        self._open.add(place)
        for name in old.fields.keys() & new.fields.keys():
            self.compare((*path, name), old.fields[name], new.fields[name])
        if old.rest is not None and new.rest is not None:
            self.compare((*path, ANY), old.rest, new.rest)
        self._open.discard(place)

    def _compare_field(self, path: Path, old: Shape, new: Shape, name: str) -> None:
        known, seen, open_at = old.fields.get(name), new.fields.get(name), frozenset(self._open)
        if (known is None or seen is None) and is_column_of_data(old, name):
            return
        if known is None:
            if seen is not None and self._rules.appeared(old.objects, seen, new.objects):
                self._new.append(Candidate(path, seen, seen.count, new.objects, open_at))
            return
        count = seen.count if seen is not None else 0
        if seen is not None and self._rules.grew(known.count, known.of, count, new.objects):
            self._new.append(Candidate(path, seen, count, new.objects, open_at))
        elif self._rules.vanished(known, count, new.objects):
            self._gone.append(Candidate(path, known, new.objects - count, new.objects, open_at))
        elif seen is not None:
            self.compare(path, known, seen)


def _removed(gone: Candidate) -> Change:
    part = None if gone.count == gone.parents else f"absent in {gone.count} of {gone.parents} items"
    return Change(Alteration.REMOVED, gone.path, _kinds(gone.shape), part, open_at=gone.open_at)


def _kinds(shape: Shape) -> str:
    return kinds_text(shape) or NULL
