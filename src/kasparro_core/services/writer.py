"""One slice, one unit of work: fence, payload, records, rejections, validators, ledger, checkpoint, then commit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kasparro_core.model import (
    BatchRead,
    Checkpoint,
    Counters,
    Cursor,
    FetchFacts,
    Observation,
    PackedPayload,
    Run,
    Validator,
)
from kasparro_core.ports import Clock, Observer, Store, UnitOfWork
from kasparro_core.services.events import batch_committed
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.position import SlicePosition
from kasparro_core.services.prepare import PreparedBatch, Slice
from kasparro_core.services.steps import retried
from kasparro_core.services.totals import retries


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payload stands: its raw_id once it is stored, its row in the ledger, its facts, what comes after."""

    seq: int
    raw_id: int | None
    fetch: FetchFacts
    after: Cursor
    validators: tuple[Validator, ...]


_Written = tuple[Place, Cursor, Counters]
"""What a committed slice leaves: where the payload stands, the checkpoint's cursor, what the run gained."""


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
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._job = job
        self._run = run
        self._partition = partition
        self._lease = lease
        self._cursor: Cursor = checkpoint.cursor if checkpoint else {}
        self._version = checkpoint.version if checkpoint else 0
        self._seq = 0
        self._in_doubt: _Written | None = None
        self.counters = Counters()

    def next_seq(self) -> int:
        """The place of the next read in the run's ledger, from 1."""
        self._seq += 1
        return self._seq

    async def write(self, prepared: PreparedBatch) -> None:
        """Commit all slices of a batch."""
        batch = prepared.batch
        place = Place(self.next_seq(), None, batch.fetch, batch.cursor, tuple(batch.validators))
        for number, part in enumerate(prepared.slices):
            last = number == len(prepared.slices) - 1
            first_fetch = batch.fetch if number == 0 else None
            place = await self.write_slice(part, place, packed=prepared.packed, last=last, cost=first_fetch)

    async def write_slice(
        self, part: Slice, place: Place, *, packed: PackedPayload | None, last: bool, cost: FetchFacts | None
    ) -> Place:
        """Commit one slice, trying again what may pass. `cost` is what the read cost, given with its first slice."""
        place, self._cursor, delta = await retried(
            self._clock, lambda: self._write_unless_done(part, place, packed, last=last, cost=cost)
        )
        self._in_doubt = None
        self._version += 1
        self.counters = self.counters.plus(delta)
        self._observer.batch_committed(self._run, self._partition, delta)
        if part.rejections or part.notes:
            self._observer.rejected(self._run, self._partition, (*part.rejections, *part.notes))
        return place

    async def _write_unless_done(
        self, part: Slice, place: Place, packed: PackedPayload | None, *, last: bool, cost: FetchFacts | None
    ) -> _Written:
        """Write, unless the attempt before got as far as its commit and that went through unheard."""
        written = self._in_doubt
        if written is not None and await self._was_committed():
            return written
        self._in_doubt = None
        return await self._write_once(part, place, packed, last=last, cost=cost)

    async def _was_committed(self) -> bool:
        """A connection that breaks during COMMIT leaves open whether it happened: the checkpoint knows."""
        async with self._store.begin(write=False) as work:
            stored = await work.checkpoints.get(self._job.name, self._partition)
        return stored is not None and (stored.version, stored.run_id) == (self._version + 1, self._run.run_id)

    async def _write_once(
        self, part: Slice, place: Place, packed: PackedPayload | None, *, last: bool, cost: FetchFacts | None
    ) -> _Written:
        async with self._lease.begin() as work:
            renewed = await self._lease.renew_in(work)
            raw_id = place.raw_id
            if raw_id is None and packed is not None:
                raw_id = await work.raw.put(self._job.name, self._partition, packed)
            place = replace(place, raw_id=raw_id)
            delta = await self._write_items(work, part, place, cost)
            if last and place.validators:
                await work.validators.save(self._job.name, self._partition, place.validators)
            cursor = self._cursor_after(part, place, last=last)
            await work.checkpoints.save(
                self._job.name,
                self._partition,
                cursor,
                expected_version=self._version,
                run_id=self._run.run_id,
                at=place.fetch.observed_at,
            )
            if cost is not None and cost.retry_reasons:
                await work.totals.add(self._job.name, retries(cost.retry_reasons))
            self._in_doubt = (place, cursor, delta)
            await work.events.append(batch_committed(self._run, self._partition, delta, self._clock.now()))
            await work.commit()
        self._lease.renewed(renewed)
        return place, cursor, delta

    def _cursor_after(self, part: Slice, place: Place, *, last: bool) -> Cursor:
        if last:
            return place.after
        if place.raw_id is None:
            return self._cursor  # nothing stored to resume from: the whole read is repeated, and changes nothing
        return SlicePosition(place.raw_id, part.end, place.after, place.fetch, place.validators).to_cursor()

    async def _write_items(self, work: UnitOfWork, part: Slice, place: Place, cost: FetchFacts | None) -> Counters:
        name, run_id = self._job.name, self._run.run_id
        outcome = await work.records.upsert(part.records, self._observation(place))
        refused = (*part.rejections, *part.notes)
        if refused:
            at = place.fetch.observed_at
            await work.rejections.add(name, self._partition, run_id, place.raw_id, refused, at)
        if part.records:
            await work.rejections.resolve(name, [prepared.record.key for prepared in part.records])
        delta = _delta(part, outcome, cost)
        await work.runs.add(run_id, delta)
        await work.runs.record_read(self._read(place), counters=delta)
        return delta

    def _observation(self, place: Place) -> Observation:
        return Observation(
            source=self._job.name,
            run_id=self._run.run_id,
            raw_id=place.raw_id,
            observed_at=place.fetch.observed_at,
            history=self._job.history,
            by_occurrence=self._job.by_occurrence,
        )

    def _read(self, place: Place) -> BatchRead:
        fetch = place.fetch
        return BatchRead(
            self._run.run_id, self._partition, place.seq, place.raw_id, fetch.url, fetch.status, fetch.observed_at
        )


def _delta(part: Slice, outcome: tuple[int, int, int], cost: FetchFacts | None) -> Counters:
    inserted, updated, unchanged = outcome
    return Counters(
        fetched=part.fetched,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        rejected=part.rejected,
        batches=1,
        bytes_fetched=cost.bytes_fetched if cost else 0,
        requests=cost.requests if cost else 0,
        retries=cost.retries if cost else 0,
        throttled=cost.throttled if cost else 0,
    )
