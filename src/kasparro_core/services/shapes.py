"""The shape of one source during one run: watched batch by batch, concluded in the transaction that ends the run.

Counts are kept in memory alone. A run that resumes a dead one begins to count anew: what changed in the source shows in
what is left of it, or in the next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from zlib import crc32

from kasparro_core.drift import (
    Conclusion,
    ItemStyle,
    Known,
    Memory,
    Sample,
    Seen,
    Shape,
    change_view,
    conclude,
    has_news,
    is_settled,
    is_sure,
    joined,
    judged,
    null_rates,
    observe,
    sampled,
    shows,
    trace,
    without,
)
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import DriftEvent, Event, EventType, Metric, RawRecord, Rejection, Run, RunFacts, Stage
from kasparro_core.model.drift import Alteration, Change, DriftRule
from kasparro_core.ports import Store, UnitOfWork
from kasparro_core.services.jobs import SourceJob

MOST_TOLD = 100
"""Of more changes at once (a table with another header) the stream of events tells so many; /drift has all."""

_JUDGED_ALONE = 20

_CODES = {
    Alteration.ADDED: "drift_added",
    Alteration.REMOVED: "drift_removed",
    Alteration.RETYPED: "drift_retyped",
    Alteration.RENAMED: "drift_renamed",
    Alteration.NULLABILITY: "drift_nullability",
}


@dataclass(frozen=True, slots=True)
class Looked:
    """Items as they may go on: with what is to be told of them, and by index the change for which one is refused."""

    items: Sequence[RawRecord]
    refused: Mapping[int, Change] = field(default_factory=dict)
    notes: Sequence[Rejection] = ()

    @property
    def found_something(self) -> bool:
        """Whether anything is refused or noted."""
        return bool(self.refused or self.notes)


class ShapeBook:
    """What is known of a source's shape, and what a run has seen of it. `look` may be called by several threads."""

    def __init__(self, job: SourceJob, known: Known) -> None:
        self._job = job
        self._known = known
        self._memory: Memory | None = known.memory()
        self._lock = Lock()
        self._seen = Shape()
        self._strange = Shape()
        self._sample: Sample = {}
        self._partitions: set[str] = set()
        self._acted: list[Change] = []
        self._waiting = known.waiting()
        self._version = known.accepted.version if known.accepted is not None else None

    @classmethod
    async def load(cls, store: Store, job: SourceJob) -> ShapeBook:
        """With what the store remembers. Raises StorageError."""
        async with store.begin(write=False) as work:
            return cls(job, Known.of(job.name, await work.schemas.newest(job.name, limit=2)))

    def look(self, partition: str, items: Sequence[RawRecord]) -> Looked:
        """Count a batch, and do what the source's rule says about the changes that are proved by now.

        Raises PermanentSourceError, code `drift`, where the rule is to write nothing of a new shape.
        """
        if not items:
            return Looked(items)
        part = observe(items, self._job.item_style)
        sample = sampled(items) if self._is_curious(part) else {}
        with self._lock:
            self._partitions.add(partition)
            strange = self._is_strange(partition)
            counted = self._strange if strange else self._seen
            counted.add_items(part)
            counted.bound()
            self._sample = joined(self._sample, sample)
            if self._job.drift is DriftRule.EVOLVE or self._memory is None or strange:
                return Looked(items)
            found = self._proved(self._memory, items, part, sample)
        return self._treated(partition, items, found) if found else Looked(items)

    def _is_strange(self, partition: str) -> bool:
        """Whether this is a feed that the memory was not made of: feeds differ, each in what it leaves out."""
        if self._job.item_style is not ItemStyle.SPARSE or self._memory is None:
            return False
        return _checksum(partition) not in self._memory.partitions

    def _is_curious(self, part: Shape) -> bool:
        """Whether values are to be remembered: while a source is learned, and where a field may have been renamed."""
        memory = self._memory
        return memory is None or not is_settled(memory) or has_news(memory.shape, part)

    async def end(self, work: UnitOfWork, run: Run, at: datetime) -> Sequence[Event]:
        """In the unit of work that ends the run: write what is new, and return what is to be told of it. Whoever else
        would change what is known of the source needs its lease, so it is as it was loaded."""
        with self._lock:
            shape, strange = (self._traced(each, self._sample) for each in (self._seen, self._strange))
            partitions = frozenset(map(_checksum, self._partitions))
        if self._job.item_style is not ItemStyle.SPARSE:
            partitions = frozenset()
        seen = Seen(shape, tuple(self._acted), strange, partitions)
        conclusion = conclude(self._known, seen, self._job.item_style, self._job.drift, run.run_id, at)
        if conclusion.version is not None:
            await work.schemas.save(conclusion.version)
            if conclusion.version.accepted_at is not None:
                self._version = conclusion.version.version
        return await self._tell(work, conclusion, run, at)

    def told_in(self, facts: RunFacts) -> RunFacts:
        """The facts of the run with what was seen here; the version is the one that holds once `end` has written it."""
        with self._lock:
            seen = self._seen.copy()
            seen.add_items(self._strange)
        rates, cut = null_rates(seen)
        return replace(facts, schema_version=self._version, items=seen.count, null_rates=rates, null_rates_cut=cut)

    async def _tell(self, work: UnitOfWork, conclusion: Conclusion, run: Run, at: datetime) -> Sequence[Event]:
        if not conclusion.told:
            return ()
        (partition,) = self._partitions if len(self._partitions) == 1 else ("",)
        action = str(self._job.drift)
        found = [_event(change, run, partition, at, action) for change in conclusion.told]
        await work.findings.add_drift(found)
        counts = {str(kind): sum(each.change == kind for each in found) for kind in Alteration}
        await work.totals.add(run.source, {(Metric.DRIFT, kind): count for kind, count in counts.items()})
        return [
            Event(
                EventType.DRIFT,
                run.source,
                run.run_id,
                at,
                {"partition": partition, **change_view(change), "action": action},
            )
            for change in conclusion.told[:MOST_TOLD]
        ]

    def _proved(self, memory: Memory, items: Sequence[RawRecord], part: Shape, sample: Sample) -> list[Change]:
        """The changes that this batch proves, or everything until now; what was proved once stays so. One that waits
        for a person was proved by a run before: an item that shows it is enough."""
        style = self._job.item_style
        found = [
            each
            for each in self._waiting
            if is_sure(memory.shape, each) and any(shows(item.data, each, style) for item in items)
        ]
        found += judged(memory, self._traced(self._seen, self._sample), style)
        if part.count >= _JUDGED_ALONE:
            found += judged(replace(memory, window=None), self._traced(part, sample), style)
        known = {path for each in self._acted for path in (each.path, each.to)}
        for each in found:
            if each.path not in known:
                self._acted.append(each)
                known |= {each.path, each.to}
        return list(self._acted)

    def _traced(self, shape: Shape, sample: Sample) -> Shape:
        traced = shape.copy()
        trace(traced, sample, self._job.item_style)
        return traced

    def _treated(self, partition: str, items: Sequence[RawRecord], found: Sequence[Change]) -> Looked:
        match self._job.drift:
            case DriftRule.FREEZE:
                raise self._frozen(partition, found)
            case DriftRule.DISCARD_ROW:
                return Looked(items, self._refused(items, found))
            case _:
                return self._trimmed(items, found)

    def _refused(self, items: Sequence[RawRecord], found: Sequence[Change]) -> Mapping[int, Change]:
        style = self._job.item_style
        return {
            item.index: next(each for each in found if shows(item.data, each, style))
            for item in items
            if any(shows(item.data, each, style) for each in found)
        }

    def _trimmed(self, items: Sequence[RawRecord], found: Sequence[Change]) -> Looked:
        """The items without the values that changes brought, and a note for each change that they show."""
        style = self._job.item_style
        left, notes = list(items), []
        for change in found:
            showing = [place for place, item in enumerate(left) if shows(item.data, change, style)]
            if not showing or change.change in {Alteration.REMOVED, Alteration.NULLABILITY}:
                continue
            notes.append(_note(change, left[showing[0]].index, len(showing)))
            for place in showing:
                item = left[place]
                left[place] = RawRecord(item.index, without(item.data, change, style))
        return Looked(left, notes=notes)

    def _frozen(self, partition: str, found: Sequence[Change]) -> PermanentSourceError:
        name = self._job.name
        where = f", partition {partition!r}" if partition else ""
        first, more = found[0], f" (and {len(found) - 1} more changes)" if len(found) > 1 else ""
        return PermanentSourceError(
            f"The items of source {name!r}{where} have another shape: {sentence(first)}{more}. "
            'With drift = "freeze" nothing of it is written.',
            source=name,
            code="drift",
            hint=f"`kasparro schema diff {name}` shows it, `kasparro schema accept {name}` accepts it.",
        )


def _checksum(partition: str) -> int:
    return crc32(partition.encode("utf-8", "surrogatepass"))


def sentence(change: Change) -> str:
    """A change in words.

    >>> sentence(Change(Alteration.RETYPED, ("price",), "number", "text"))
    '`price` was number and is text'
    """
    match change.change:
        case Alteration.ADDED:
            return f"`{change.place}` is new ({change.after})"
        case Alteration.REMOVED:
            return f"`{change.place}` ({change.before}) is {change.after or 'not there any more'}"
        case Alteration.RENAMED:
            return f"`{change.before}` is now called `{change.after}` (confidence {change.confidence})"
        case _:
            return f"`{change.place}` was {change.before} and is {change.after}"


def refusal(item_key: str | None, data: object, index: int, change: Change) -> Rejection:
    """The rejection of an item that has a shape which nobody has accepted."""
    message = f"expected an item of the accepted shape, found a change: {sentence(change)}"
    return Rejection(Stage.DRIFT, _CODES[change.change], change.place, message, data, index, item_key)


def _note(change: Change, index: int, items: int) -> Rejection:
    message = f"{sentence(change)}: the value was left out of {items} items of this batch, the first of which is this"
    payload = {"before": change.before, "after": change.after}
    return Rejection(Stage.FIELD, _CODES[change.change], change.place, message, payload, index)


def _event(change: Change, run: Run, partition: str, at: datetime, action: str) -> DriftEvent:
    return DriftEvent(
        drift_id=0,
        source=run.source,
        partition=partition,
        run_id=run.run_id,
        detected_at=at,
        change=str(change.change),
        path=change.place,
        before=change.before,
        after=change.after,
        confidence=change.confidence,
        action=action,
    )
