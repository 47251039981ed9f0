"""One slice, one unit of work: fence, payload, records, rejections, validators, ledger, checkpoint, then commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from kasparro_core.errors import UnstorableError
from kasparro_core.model import (
    BatchRead,
    Checkpoint,
    Counters,
    Cursor,
    Event,
    Extent,
    FetchFacts,
    Observation,
    PackedPayload,
    PartitionNews,
    Rejection,
    Run,
    Validator,
)
from kasparro_core.ports import Clock, Observer, Store, UnitOfWork
from kasparro_core.services.events import batch_committed
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.keeping import Kept, Sight, counted, keep
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.partition_states import PartitionBook, gap_event
from kasparro_core.services.position import SlicePosition
from kasparro_core.services.prepare import PreparedBatch, Slice
from kasparro_core.services.steps import retried
from kasparro_core.services.totals import retries

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payload stands: its raw_id once it is stored, its row in the ledger, its facts, what comes after."""

    seq: int
    raw_id: int | None
    fetch: FetchFacts
    after: Cursor
    validators: tuple[Validator, ...]
    outdated: tuple[str, ...] = ()
    extent: Extent = Extent.PART
    same_as: str | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """One slice to be written at its place. `cost` is what the read cost, given with its first slice, and so is the
    `gap` that it found."""

    part: Slice
    place: Place
    packed: PackedPayload | None
    last: bool
    cost: FetchFacts | None
    gap: Event | None = None


class _Written(NamedTuple):
    """What a committed slice leaves: where the payload stands, the checkpoint's cursor, what the run gained, and what
    the database refused."""

    place: Place
    cursor: Cursor
    delta: Counters
    refused: tuple[Rejection, ...]


class PartitionWriter:
    """Writes one partition of one run, slice by slice, in order. Holds the checkpoint's version between commits."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        observer: Observer,
        job: SourceJob,
        run: Run,
        partition: str,
        lease: LeaseKeeper,
        checkpoint: Checkpoint | None,
        book: PartitionBook,
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._job = job
        self._run = run
        self._partition = partition
        self._lease = lease
        self._book = book
        self._cursor: Cursor = checkpoint.cursor if checkpoint else {}
        self._version = checkpoint.version if checkpoint else 0
        self._seen_at = checkpoint.updated_at if checkpoint else None
        self._seq = 0
        self._in_doubt: _Written | None = None
        self.counters = Counters()

    @property
    def version(self) -> int:
        """The checkpoint's version, as this writer left it."""
        return self._version

    @property
    def seen_at(self) -> datetime | None:
        """When what was committed last was observed."""
        return self._seen_at

    def next_seq(self) -> int:
        """The place of the next read in the run's ledger, from 1."""
        self._seq += 1
        return self._seq

    async def write(self, prepared: PreparedBatch) -> None:
        """Commit all slices of a batch."""
        batch = prepared.batch
        refused = sum(part.rejected for part in prepared.slices)
        asking = _with_refused(batch.validators, refused), tuple(batch.outdated)
        listed = batch.extent, batch.same_as
        place = Place(self.next_seq(), None, self._in_order(batch.fetch), batch.cursor, *asking, *listed)
        for number, part in enumerate(prepared.slices):
            last = number == len(prepared.slices) - 1
            cost, news = (batch.fetch, batch.news) if number == 0 else (None, None)
            place = await self.write_slice(part, place, packed=prepared.packed, last=last, cost=cost, news=news)

    async def write_slice(
        self,
        part: Slice,
        place: Place,
        *,
        packed: PackedPayload | None,
        last: bool,
        cost: FetchFacts | None,
        news: PartitionNews | None = None,
    ) -> Place:
        """Commit one slice, trying again what may pass. `cost` is what the read cost and `news` what it learned, both
        given with its first slice."""
        gap = gap_event(self._run, self._partition, news, self._seen_at, place.fetch.observed_at) if news else None
        written = await self._written(_Step(part, place, packed, last, cost, gap))
        self._in_doubt = None
        self._version += 1
        self._cursor = written.cursor
        self._seen_at = written.place.fetch.observed_at
        self.counters = self.counters.plus(written.delta)
        self._observer.batch_committed(self._run, self._partition, written.delta)
        if news is not None:
            self._book.learned(self._partition, news, gap)
        if gap is not None:
            self._observer.noted(self._run, gap)
        told = (*part.rejections, *part.notes, *written.refused)
        if told:
            self._observer.rejected(self._run, self._partition, told)
        return written.place

    def _in_order(self, fetch: FetchFacts) -> FetchFacts:
        """What is read later was seen later, also by a clock that was set back, or of a machine that is behind the one
        which read before: else a change would be taken for an older state, and not be asked for again."""
        if self._seen_at is None or fetch.observed_at >= self._seen_at:
            return fetch
        return replace(fetch, observed_at=self._seen_at + _TICK)

    async def _written(self, step: _Step) -> _Written:
        """Commit a slice: as a whole, or if the database refuses a value of it, everything else of it."""
        try:
            return await retried(self._clock, lambda: self._write_once(step, careful=False))
        except UnstorableError:
            return await retried(self._clock, lambda: self._write_once(step, careful=True))

    async def _unheard(self, work: UnitOfWork) -> _Written | None:
        """What the attempt before wrote, if it got as far as its commit and that went through unheard: a connection
        that breaks during COMMIT leaves open whether it happened, and the checkpoint knows. To be asked under the
        renewed lease: its row is locked by a COMMIT that is still under way, so that the answer is final."""
        if self._in_doubt is None:
            return None
        stored = await work.checkpoints.get(self._job.name, self._partition)
        if stored is not None and (stored.version, stored.run_id) == (self._version + 1, self._run.run_id):
            return self._in_doubt
        self._in_doubt = None
        return None

    async def _write_once(self, step: _Step, *, careful: bool) -> _Written:
        async with self._lease.begin() as work:
            renewed = await self._lease.renew_in(work)
            if (unheard := await self._unheard(work)) is not None:
                return unheard
            place = await self._stored(work, step)
            kept = await keep(work, step.part, self._sight(place), careful=careful)
            delta = _delta(step.part, kept, step.cost)
            cursor = self._cursor_after(step.part, place, last=step.last)
            await self._note(work, step, place, cursor, delta)
            self._in_doubt = written = _Written(place, cursor, delta, kept.refused)
            if step.gap is not None:
                await self._book.write_gap(work, step.gap)
            await work.events.append(batch_committed(self._run, self._partition, delta, self._clock.now()))
            await work.commit()
        self._lease.renewed(renewed)
        return written

    async def _stored(self, work: UnitOfWork, step: _Step) -> Place:
        """The place with its payload, which the first slice brings."""
        if step.place.raw_id is not None or step.packed is None:
            return step.place
        return replace(step.place, raw_id=await work.raw.put(self._job.name, self._partition, step.packed))

    async def _note(self, work: UnitOfWork, step: _Step, place: Place, cursor: Cursor, delta: Counters) -> None:
        """The ledger of the run and of the read, the validators with the last slice, the checkpoint."""
        name, run_id = self._job.name, self._run.run_id
        await work.runs.add(run_id, delta)
        await work.runs.record_read(self._read(place, delta.rejected + len(step.part.notes)), counters=delta)
        if step.last and place.validators:
            validators = _with_refused(place.validators, delta.rejected)
            await work.validators.save(name, self._partition, validators)
        if step.last and place.outdated:
            await work.validators.forget(name, self._partition, place.outdated)
        at = place.fetch.observed_at
        await work.checkpoints.save(name, self._partition, cursor, expected_version=self._version, run_id=run_id, at=at)
        if step.cost is not None and step.cost.retry_reasons:
            await work.totals.add(name, retries(step.cost.retry_reasons))

    def _cursor_after(self, part: Slice, place: Place, *, last: bool) -> Cursor:
        if last:
            return place.after
        if place.raw_id is None:
            return self._cursor  # nothing stored to resume from: the whole read is repeated, and changes nothing
        return SlicePosition(place.raw_id, part.end, place.after, place.fetch, place.validators).to_cursor()

    def _sight(self, place: Place) -> Sight:
        observation = Observation(
            source=self._job.name,
            run_id=self._run.run_id,
            raw_id=place.raw_id,
            observed_at=self._job.seen_at(self._partition, place.fetch.observed_at),
            history=self._job.history,
            by_occurrence=self._job.by_occurrence,
        )
        return Sight(self._partition, observation, self._run.run_id, identity=self._job.identity)

    def _read(self, place: Place, refused: int) -> BatchRead:
        return BatchRead(
            self._run.run_id,
            self._partition,
            place.seq,
            place.raw_id,
            place.fetch.url,
            place.fetch.status,
            place.fetch.observed_at,
            refused=refused,
            extent=place.extent,
            same_as=place.same_as,
        )


def _with_refused(validators: Sequence[Validator], refused: int) -> tuple[Validator, ...]:
    """With how many items of their page were refused, as far as that is known by now."""
    return tuple(replace(each, refused=max(each.refused, refused)) for each in validators)


def _delta(part: Slice, kept: Kept, cost: FetchFacts | None) -> Counters:
    return counted(part, kept)._replace(
        bytes_fetched=cost.bytes_fetched if cost else 0,
        requests=cost.requests if cost else 0,
        retries=cost.retries if cost else 0,
        throttled=cost.throttled if cost else 0,
    )
