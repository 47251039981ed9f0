"""What a run means for what is remembered of its source: what to tell, and what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kasparro_core.drift.document import Memory, change_of, document_of, memory_of, remembered_change
from kasparro_core.drift.judge import changes, told
from kasparro_core.drift.learn import learned, outline
from kasparro_core.drift.observe import ItemStyle
from kasparro_core.drift.rules import FEW_ITEMS, SETTLED, SMALL_RUN, WINDOW, Rules
from kasparro_core.drift.shape import Shape
from kasparro_core.model.drift import Alteration, Change, DriftRule, SchemaVersion

_FADING = 0.9


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The version to write (a new one, or one that stands there already), and the changes to tell. None and nothing
    where the run says what was known."""

    version: SchemaVersion | None = None
    told: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """The versions of a source that matter: the accepted one, and a newer one that waits for a person."""

    source: str
    accepted: SchemaVersion | None = None
    pending: SchemaVersion | None = None

    @classmethod
    def of(cls, source: str, newest: Sequence[SchemaVersion]) -> Known:
        """From the versions of a source, newest first."""
        accepted = next((each for each in newest if each.accepted_at is not None), None)
        pending = next((each for each in newest[:1] if each.accepted_at is None), None)
        return cls(source, accepted, pending)

    def memory(self) -> Memory | None:
        """What the accepted version says. Raises PermanentStorageError when it is not understood."""
        return None if self.accepted is None else memory_of(self.accepted)

    def waiting(self) -> list[Change]:
        """The changes that wait for a person. Raises PermanentStorageError."""
        views = () if self.pending is None else memory_of(self.pending).changes
        return [change for view in views if (change := change_of(view)) is not None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run saw: the shape of its items (with traces), and the changes that it acted upon on its way. `strange` is
    that of items from partitions of which nothing was remembered (a feed that is new in the list): learned, not judged.
    `partitions`: checksums of the names of those that had items."""

    shape: Shape
    acted: Sequence[Change] = ()
    strange: Shape = field(default_factory=Shape)
    partitions: frozenset[int] = frozenset()


def judged(memory: Memory, seen: Shape, style: ItemStyle) -> list[Change]:
    """The changes that a run, as far as it has come, proves."""
    whole = _with_window(memory, seen)
    return changes(memory.shape, whole, Rules.of(style, whole.count, memory.usual))


def conclude(known: Known, seen: Seen, style: ItemStyle, rule: DriftRule, run_id: int, at: datetime) -> Conclusion:
    """What follows at the end of a run."""
    memory = known.memory()
    if not seen.shape.count and not seen.strange.count:
        return Conclusion()
    if memory is None or known.accepted is None:
        first = Memory(learned(Shape(), seen.shape), seen.shape.count, partitions=seen.partitions)
        return Conclusion(_version(known.source, 1, first, run_id, at, accepted_at=at))
    found = _united(seen.acted, judged(memory, seen.shape, style)) if seen.shape.count else []
    if found:
        return _changed(known, known.accepted, memory, seen, found, style, rule, run_id, at)
    after = _acquainted(_calm(memory, seen.shape, _is_wary(style)) if seen.shape.count else memory, seen)
    if after is memory:
        return Conclusion()
    return Conclusion(replace(known.accepted, schema=document_of(after), schema_hash=after.digest))


def is_settled(memory: Memory) -> bool:
    """Whether so much is remembered that a run which says the same adds nothing to it."""
    return memory.shape.count >= SETTLED and memory.window is None


def _changed(
    known: Known,
    accepted: SchemaVersion,
    memory: Memory,
    seen: Seen,
    found: Sequence[Change],
    style: ItemStyle,
    rule: DriftRule,
    run_id: int,
    at: datetime,
) -> Conclusion:
    news = told(found)
    waits = None if known.pending is None else memory_of(known.pending)
    waiting = () if waits is None else waits.changes
    fresh = [each for each in news if not any(_says(view, each) for view in waiting)]
    evolves = rule is DriftRule.EVOLVE
    if not fresh and not evolves:
        return Conclusion()
    views = [remembered_change(each) for each in news]
    base = memory.shape
    if waits is not None and not evolves:
        base = waits.shape
        views = [*(dict(view) for view in waiting if not any(_says(view, each) for each in news)), *views]
    if memory.window is not None:
        base = learned(base, memory.window, wary=_is_wary(style))
    shape = learned(base, seen.shape, found, wary=_is_wary(style))
    after = Memory(shape, _usual(memory, seen.shape), changes=views, partitions=memory.partitions)
    after = _acquainted(after, seen)
    number = accepted.version + 1
    return Conclusion(_version(known.source, number, after, run_id, at, accepted_at=at if evolves else None), fresh)


def _says(view: Mapping[str, Any], change: Change) -> bool:
    """Whether a change that waits is this one, however many items it was seen in."""
    if (view.get("change"), view.get("path")) != (str(change.change), change.place):
        return False
    waits = change_of(view)
    if change.change is Alteration.RENAMED or waits is None:
        return bool(view.get("after") == change.after)
    return change.kinds <= waits.kinds


def _is_wary(style: ItemStyle) -> bool:
    """Whether what is new has to be told before it is remembered; every field of a feed is optional by nature."""
    return style is not ItemStyle.SPARSE


def _calm(memory: Memory, seen: Shape, wary: bool) -> Memory:
    """The memory after a run without a change; the same one where another is not worth writing."""
    whole = _with_window(memory, seen)
    usual = _usual(memory, seen)
    is_small = seen.count < SMALL_RUN and whole.count < WINDOW
    if is_small and (memory.shape.count >= SMALL_RUN or _is_odd(memory.shape, whole)):
        return replace(memory, usual=usual, window=whole)
    shape = learned(memory.shape, whole, wary=wary)
    if is_settled(memory) and outline(shape) == outline(memory.shape):
        return memory
    return replace(memory, shape=shape, usual=usual, window=None)


def _is_odd(memory: Shape, seen: Shape) -> bool:
    """Whether a few items say something else than the few that are remembered: they prove nothing yet, and taken for
    granted they never would."""
    return memory.count >= FEW_ITEMS and outline(learned(memory, seen)) != outline(memory)


def _acquainted(memory: Memory, seen: Seen) -> Memory:
    """The memory that knows the strangers too."""
    if not seen.strange.count:
        return memory
    shape = learned(memory.shape, seen.strange)
    return replace(memory, shape=shape, partitions=memory.partitions | seen.partitions)


def _with_window(memory: Memory, seen: Shape) -> Shape:
    """What a run saw, if it is a small one with what the small ones before it saw."""
    if memory.window is None:
        return seen
    whole = memory.window.copy()
    whole.add_items(seen)
    return whole


def _usual(memory: Memory, seen: Shape) -> int:
    return max(seen.count, int(memory.usual * _FADING))


def _united(acted: Sequence[Change], found: Sequence[Change]) -> list[Change]:
    """Each change once: as it was proved by all that the run saw, else as it was acted upon."""
    covered = {path for each in found for path in (each.path, each.to)}
    return [*found, *(each for each in acted if each.path not in covered)]


def _version(
    source: str, number: int, memory: Memory, run_id: int, at: datetime, *, accepted_at: datetime | None
) -> SchemaVersion:
    return SchemaVersion(source, number, memory.digest, document_of(memory), run_id, at, accepted_at)
