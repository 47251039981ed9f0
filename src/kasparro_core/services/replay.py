"""Normalize stored raw payloads again: in the order they were read, from their bytes and decode facts alone, with the
instants at which they were observed, without the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial

from kasparro_core.errors import ConflictError, KasparroError, StorageError, UnstorableError
from kasparro_core.model import BatchRead, Counters, Observation, Run, RunStatus, StoredRaw, Trigger
from kasparro_core.normalize.compiler import CompiledMapping, compile_mapping
from kasparro_core.ports import Clock, Decoder, Observer, ProcessHandle, Store, UnitOfWork
from kasparro_core.services.claims import Claim, Claims
from kasparro_core.services.events import batch_committed, run_finished
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.keeping import Sight, keep
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.outcome import STOPPED, Verdict, verdict
from kasparro_core.services.prepare import Slice, prepare_items
from kasparro_core.services.run import LEASE_TTL
from kasparro_core.services.steps import retried, unbroken

_PAGE = 500


class Replayer:
    """Replays sources for one process; owns the source while it does."""

    def __init__(
        self,
        store: Store,
        handle: ProcessHandle,
        clock: Clock,
        decoders: Mapping[str, Decoder],
        observer: Observer,
        *,
        lease_ttl: float = LEASE_TTL,
    ) -> None:
        self._store = store
        self._clock = clock
        self._decoders = decoders
        self._observer = observer
        self._claims = Claims(store, handle, clock, observer, lease_ttl)

    async def replay(self, job: SourceJob, *, dry_run: bool = False) -> Run:
        """Replay everything that is stored of a source and return the finished run.

        With `dry_run` nothing is kept, not even the run (its id is 0): each unit of work is rolled back, and the
        counters say what each payload would change by itself.
        Interrupted half-way, it is simply done again: it only ever moves records towards the same final state.
        Raises PermanentSourceError for a payload that its decoder no longer understands, StorageError when the
        database fails.
        """
        if dry_run:
            return await self._rehearse(job)
        claim = await self._claims.claim(job.name, Trigger.REPLAY, wait=True)
        if claim is None:  # unreachable with wait=True, which only ever returns a claim
            raise ConflictError(f"source {job.name!r} could not be claimed")
        keeper = self._claims.keeper(claim)
        replaying = _Replay(self._store, self._clock, self._decoders, job, claim.run, keeper, self._observer)
        try:
            self._claims.announce(claim)
            async with keeper.beating():
                await replaying.all()
            return await retried(self._clock, lambda: self._finish(claim, keeper, _judged(job, replaying.counters)))
        except BaseException as error:  # a cancellation too: the run must not stay `running`
            await self._try_finish(claim, keeper, error)
            raise

    async def _try_finish(self, claim: Claim, keeper: LeaseKeeper, error: BaseException) -> None:
        """Mark a replay on the way out of an error. Where that cannot be done the lease runs out, and whoever takes it
        marks the run."""
        try:
            await unbroken(self._finish(claim, keeper, _failed(error)))
        except (StorageError, ConflictError) as second:
            error.add_note(f"the run could not be given its end either: {second}")

    async def _rehearse(self, job: SourceJob) -> Run:
        run = Run(0, job.name, Trigger.REPLAY, RunStatus.RUNNING, self._clock.now())
        rehearsal = _Replay(self._store, self._clock, self._decoders, job, run, None, self._observer)
        await rehearsal.all()
        end = _judged(job, rehearsal.counters)
        return replace(
            run,
            status=end.status,
            finished_at=self._clock.now(),
            counters=rehearsal.counters,
            error_code=end.error_code,
            error=end.error,
        )

    async def _finish(self, claim: Claim, keeper: LeaseKeeper, end: Verdict) -> Run:
        async with keeper.begin() as work:
            lease = await keeper.renew_in(work)
            run = await work.runs.finish(
                claim.run.run_id, end.status, self._clock.now(), error_code=end.error_code, error=end.error
            )
            await work.leases.release(lease)
            await work.events.append(run_finished(run))
            await work.commit()
        self._observer.run_finished(run)
        return run


def _judged(job: SourceJob, counters: Counters) -> Verdict:
    return verdict(counters, {}, 1, max_rejected=job.max_rejected, fail_rejected=job.fail_rejected)


def _failed(error: BaseException) -> Verdict:
    if isinstance(error, asyncio.CancelledError):
        return STOPPED
    code = error.code if isinstance(error, KasparroError) else "internal"
    return Verdict(RunStatus.FAILED, code, str(error))


class _Replay:
    """One replay under way; without a lease it is a rehearsal, of which nothing is kept."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        decoders: Mapping[str, Decoder],
        job: SourceJob,
        run: Run,
        lease: LeaseKeeper | None,
        observer: Observer,
    ) -> None:
        self._store = store
        self._clock = clock
        self._decoders = decoders
        self._job = job
        self._mapping: CompiledMapping = compile_mapping(job.mapping)
        self._run = run
        self._lease = lease
        self._observer = observer
        self.counters = Counters()

    async def all(self) -> None:
        """Every read with a payload, in the order of the ledger."""
        async for read in self._reads():
            for part in await self._slices(read):
                delta = await self._write(read, part)
                self.counters = self.counters.plus(delta)
                self._observer.batch_committed(self._run, read.partition, delta)

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
        return list(prepare_items(decoded, self._mapping))

    async def _write(self, read: BatchRead, part: Slice) -> Counters:
        """One unit of work: as a whole, or if the database refuses a value of it, everything else of it."""
        write = self._try_out if self._lease is None else partial(self._write_under, self._lease)
        try:
            return await write(read, part, careful=False)
        except UnstorableError:
            return await write(read, part, careful=True)

    async def _write_under(self, lease: LeaseKeeper, read: BatchRead, part: Slice, *, careful: bool) -> Counters:
        async with lease.begin() as work:
            renewed = await lease.renew_in(work)
            delta = await self._write_items(work, self._run.run_id, read, part, careful=careful)
            await work.runs.add(self._run.run_id, delta)
            await work.events.append(batch_committed(self._run, read.partition, delta, self._clock.now()))
            await work.commit()
        lease.renewed(renewed)
        return delta

    async def _try_out(self, read: BatchRead, part: Slice, *, careful: bool) -> Counters:
        """Write under a run that never was, and roll both back."""
        async with self._store.begin() as work:
            run = await work.runs.start(self._job.name, Trigger.REPLAY, self._run.started_at)
            return await self._write_items(work, run.run_id, read, part, careful=careful)

    async def _write_items(
        self, work: UnitOfWork, run_id: int, read: BatchRead, part: Slice, *, careful: bool
    ) -> Counters:
        observation = Observation(
            self._job.name, run_id, read.raw_id, read.observed_at, self._job.history, self._job.by_occurrence
        )
        kept = await keep(work, part, Sight(read.partition, observation, read.run_id, again=False), careful=careful)
        return Counters(part.fetched, *kept.outcome, rejected=part.rejected + len(kept.refused), batches=1)
