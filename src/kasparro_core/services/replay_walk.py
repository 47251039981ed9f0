"""One replay under way: read by read, slice by slice, one unit of work each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from kasparro_core.errors import UnstorableError
from kasparro_core.model import BatchRead, Counters, Observation, Run, StoredRaw, Trigger
from kasparro_core.normalize.compiler import CompiledMapping, compile_mapping
from kasparro_core.ports import Clock, Decoder, Observer, Store, UnitOfWork
from kasparro_core.services.events import batch_committed
from kasparro_core.services.held import Held
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.keeping import Kept, Sight, counted, keep
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.prepare import Slice, prepare_items
from kasparro_core.services.replay_scope import Followed, Items, ReplayScope
from kasparro_core.services.steps import retried

_PAGE = 500


@dataclass(frozen=True, slots=True)
class _Step:
    """A slice of a read: what is taken of it, and all that it `holds`. It begins at the item `begin`."""

    read: BatchRead
    begin: int
    part: Slice
    holds: Slice
    wanted: Items

    @property
    def items(self) -> list[int] | range:
        """The places that are asked for."""
        everything = range(self.begin, self.holds.end)
        return everything if self.wanted is None else [item for item in self.wanted if item in everything]


class ReplayWalk:
    """Replays what a scope takes; without a lease it is a rehearsal, of which nothing is kept."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        decoders: Mapping[str, Decoder],
        observer: Observer,
        job: SourceJob,
        run: Run,
        lease: LeaseKeeper | None,
        scope: ReplayScope,
        held: Held,
    ) -> None:
        self._store = store
        self._clock = clock
        self._decoders = decoders
        self._observer = observer
        self._job = job
        self._mapping: CompiledMapping = compile_mapping(job.mapping)
        self._run = run
        self._lease = lease
        self._scope = scope
        self._held = held
        self._in_doubt: Counters | None = None
        self.counters = Counters()

    async def all(self) -> None:
        """Every read with a payload, in the order of the ledger."""
        followed = Followed(await self._last_in_part())
        async for read in self._reads():
            wanted = self._scope.wanted(read)
            if wanted is not None and not wanted and not followed:
                continue
            begin = 0
            for holds in await self._slices(read):
                part = followed.restrict(holds, wanted)
                if wanted is None or part.fetched:
                    await self._take(_Step(read, begin, part, holds, wanted))
                    followed.follow(read, part)
                begin = holds.end

    async def _last_in_part(self) -> int:
        """The last read of which not everything is wanted."""
        if self._scope.everything:
            return 0
        return max([read.read_id async for read in self._reads() if self._scope.wanted(read) is not None], default=0)

    async def _reads(self) -> AsyncIterator[BatchRead]:
        """Page by page, so that no read transaction stays open while the replay writes."""
        after = 0
        while True:
            async with self._store.begin(write=False) as work:
                page = await work.runs.reads(self._job.name, after=after, limit=_PAGE)
            for read in page:
                yield read
            if len(page) < _PAGE:
                return
            after = page[-1].read_id

    async def _slices(self, read: BatchRead) -> list[Slice]:
        async with self._store.begin(write=False) as work:
            stored = await work.raw.get(read.raw_id) if read.raw_id is not None else None
        if stored is None:
            return []  # pruned since the page was read; nothing else ever takes a payload from its read
        return await asyncio.to_thread(self._prepare, stored)

    def _prepare(self, stored: StoredRaw) -> list[Slice]:
        decoded = self._decoders[stored.raw.decode_facts["format"]].decode(stored.raw)
        return list(prepare_items(self._held.apart(decoded), self._mapping))

    async def _take(self, step: _Step) -> None:
        """Commit a slice: as a whole, or if the database refuses a value of it, everything else of it."""
        try:
            delta = await retried(self._clock, partial(self._write_unless_done, step, careful=False))
        except UnstorableError:
            delta = await retried(self._clock, partial(self._write_unless_done, step, careful=True))
        self._in_doubt = None
        self.counters = self.counters.plus(delta)
        self._observer.batch_committed(self._run, step.read.partition, delta)

    async def _write_unless_done(self, step: _Step, *, careful: bool) -> Counters:
        """Write, unless the attempt before got as far as its commit and that went through unheard."""
        delta = self._in_doubt
        if delta is not None and await self._was_committed():
            return delta
        self._in_doubt = None
        if self._lease is None:
            return await self._try_out(step, careful=careful)
        return await self._write_under(self._lease, step, careful=careful)

    async def _was_committed(self) -> bool:
        """Each unit of work is one batch more in the ledger."""
        async with self._store.begin(write=False) as work:
            run = await work.runs.get(self._run.run_id)
        return run is not None and run.counters.batches > self.counters.batches

    async def _write_under(self, lease: LeaseKeeper, step: _Step, *, careful: bool) -> Counters:
        async with lease.begin() as work:
            renewed = await lease.renew_in(work)
            delta = await self._write_items(work, self._run.run_id, step, careful=careful)
            await work.runs.add(self._run.run_id, delta)
            await work.events.append(batch_committed(self._run, step.read.partition, delta, self._clock.now()))
            self._in_doubt = delta
            await work.commit()
        lease.renewed(renewed)
        return delta

    async def _try_out(self, step: _Step, *, careful: bool) -> Counters:
        """Write under a run that never was, and roll both back."""
        async with self._store.begin() as work:
            run = await work.runs.start(self._job.name, Trigger.REPLAY, self._run.started_at)
            return await self._write_items(work, run.run_id, step, careful=careful)

    async def _write_items(self, work: UnitOfWork, run_id: int, step: _Step, *, careful: bool) -> Counters:
        read, job = step.read, self._job
        seen_at = job.seen_at(read.partition, read.observed_at)
        observation = Observation(job.name, run_id, read.raw_id, seen_at, job.history, job.by_occurrence)
        sight = Sight(read.partition, observation, read.run_id, again=False, identity=job.identity)
        kept = await keep(work, step.part, sight, careful=careful)
        await self._settle(work, step, kept)
        return counted(step.part, kept)

    async def _settle(self, work: UnitOfWork, step: _Step, kept: Kept) -> None:
        """Close what the rules of now refuse no more, and note a read in which they are the first to refuse."""
        still = (*step.holds.rejections, *step.holds.notes, *kept.refused)
        if step.read.raw_id is not None:
            await work.rejections.settle(step.read.raw_id, step.items, still)
        told = len(step.part.rejections) + len(step.part.notes) + len(kept.refused)
        if told and step.read.refused == 0:
            await work.runs.record_read(replace(step.read, refused=told), counters=Counters())
