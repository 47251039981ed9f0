"""Ownership of a source during a run: claiming it, taking it over, giving it up.

    free ──take──▶ held ──finish──▶ free
                    │ owner's handle free (process dead), lease expired, or left by this process itself: it
                    ▼ could not note the end of its run, for its database was away
                 taken over: token + 1, the old run is marked interrupted, a new run resumes it

A live owner is never disturbed before its lease has run out, and its run is marked only by whoever takes the lease.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from kasparro_core.errors import ConflictError
from kasparro_core.model import Event, Lease, Run, RunStatus, Trigger
from kasparro_core.ports import Clock, Liveness, Observer, ProcessHandle, Store, UnitOfWork
from kasparro_core.services.events import run_finished, run_started
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.outcome import STOPPED
from kasparro_core.services.steps import BRIEFLY, retried, unbroken

WHOLE = ""
"""The partition under which a run holds its source."""

TAKEN_OVER = "interrupted"
"""The error_code of a run whose end was marked by whoever took its lease."""

_POLL = 0.25
_REMEMBERED = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that has just begun, and the lease it holds. `ended` is the dead run whose end was marked on the way."""

    run: Run
    lease: Lease
    ended: Run | None = None

    @property
    def events(self) -> Sequence[Event]:
        """What the claim's transaction tells, in order."""
        begun = run_started(self.run)
        return [begun] if self.ended is None else [run_finished(self.ended), begun]


class Claims:
    """Claims sources for one process."""

    def __init__(self, store: Store, handle: ProcessHandle, clock: Clock, observer: Observer, ttl: float) -> None:
        self._store = store
        self._handle = handle
        self._clock = clock
        self._observer = observer
        self._ttl = ttl
        self._left: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    async def claim(self, source: str, trigger: Trigger, *, wait: bool) -> Claim | None:
        """Begin a run that owns the source. None when another live owner has it and `wait` is false."""
        told = False
        while True:
            lease = await self.look(source)
            if await self.is_free(lease):
                claim = await self.take(source, trigger, lease)
                if claim is not None:
                    return claim
                continue
            if not wait:
                return None
            if lease is not None and not told:
                self._observer.run_waiting(source, lease.run_id)
                told = True
            await self._clock.sleep(_POLL)

    def keeper(self, claim: Claim) -> LeaseKeeper:
        """Keeps the lease of a claim."""
        return LeaseKeeper(self._store, self._handle, self._clock, claim.lease, self._ttl)

    def announce(self, claim: Claim) -> None:
        """Tell the observer that the run has begun. For whoever carries it out to call, where it also ends the run."""
        self._observer.run_started(claim.run)
        if claim.run.resumes is not None:
            self._observer.run_taken_over(claim.run, claim.run.resumes)

    async def look(self, source: str) -> Lease | None:
        """The source's lease as it is now. This process's handle is held from here on, so that others can judge it."""
        return await retried(self._clock, lambda: self._look(source), within=BRIEFLY)

    async def is_free(self, lease: Lease | None) -> bool:
        """Never taken, given up, expired, left by this process, or its owner's process is dead."""
        if lease is None or lease.run_id is None or lease.expired or self._is_left(lease):
            return True
        return await self._handle.judge(lease.owner) is Liveness.DEAD

    def leave(self, claims: Iterable[Claim]) -> None:
        """Nobody carries the runs of these claims out any more. Where a lease of one stands there all the same, with
        this process as its living owner, it does not block its source until it expires: the database was away when the
        run's end should have been noted, or it crashed and forgot that it was."""
        for claim in claims:
            self._left[claim.run.source].append(claim.run.run_id)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[tuple[UnitOfWork, list[Claim]]]:
        """A unit of work to begin runs in, and the list to put their claims into: a commit may have happened although
        its answer was lost."""
        begun: list[Claim] = []
        try:
            async with self._store.begin() as work:
                try:
                    yield work, begun
                except BaseException:
                    self.leave(begun)  # while nobody else can be given the numbers that are rolled back
                    begun.clear()
                    raise
        except BaseException:
            self.leave(begun)
            raise

    def _is_left(self, lease: Lease) -> bool:
        return lease.owner == self._handle.owner and lease.run_id in self._left[lease.source]

    async def take(self, source: str, trigger: Trigger, seen: Lease | None) -> Claim | None:
        """Begin a run on a lease that is free as it was `seen`; None when somebody else was faster.

        Cancelled while that commits, nobody would carry the run out: then the source is given back.
        """
        beginning = asyncio.ensure_future(
            retried(self._clock, lambda: self._begin(source, trigger, seen), within=BRIEFLY)
        )
        try:
            return await unbroken(beginning)
        except asyncio.CancelledError:
            if (claim := beginning.result()) is not None:
                await self._drop(claim)
            raise

    async def begin_in(self, work: UnitOfWork, source: str, trigger: Trigger, seen: Lease | None) -> Claim:
        """In a `unit`: the lease, the dead run's end, the new run. The caller appends `Claim.events` and commits.

        Raises ConflictError when the lease is not as it was seen any more.
        """
        now = self._clock.now()
        lease = await work.leases.take(source, WHOLE, owner=self._handle.owner, ttl=self._ttl, seen=seen)
        ended = await _interrupt(work, seen, now)
        run = await work.runs.start(source, trigger, now, resumes=ended.run_id if ended else None)
        if run.run_id in self._left[source]:
            self._left[source].remove(run.run_id)  # a number that was rolled back comes again
        return Claim(run, await work.leases.attach(lease, run.run_id), ended)

    async def end_dead(self, seen: Lease) -> Run | None:
        """Mark the run of a dead owner as interrupted without beginning another; None when somebody else was faster."""
        try:
            async with self._store.begin() as work:
                lease = await work.leases.take(
                    seen.source, seen.partition, owner=self._handle.owner, ttl=self._ttl, seen=seen
                )
                ended = await _interrupt(work, seen, self._clock.now())
                await work.leases.release(lease)
                if ended is not None:
                    await work.events.append(run_finished(ended))
                await work.commit()
        except ConflictError:
            return None
        return ended

    async def _begin(self, source: str, trigger: Trigger, seen: Lease | None) -> Claim | None:
        await self._handle.hold()  # whoever looks at the new lease has to find its owner alive
        try:
            async with self.unit() as (work, begun):
                claim = await self.begin_in(work, source, trigger, seen)
                begun.append(claim)
                for event in claim.events:
                    await work.events.append(event)
                await work.commit()
        except ConflictError:
            return None
        return claim

    async def _look(self, source: str) -> Lease | None:
        await self._handle.hold()
        async with self._store.begin(write=False) as work:
            return await work.leases.get(source, WHOLE)

    async def _drop(self, claim: Claim) -> None:
        """Give a source back of which nobody carries the run out; where that fails, it is at least left."""
        try:
            await unbroken(retried(self._clock, lambda: self._give_back(claim), within=BRIEFLY))
        except ConflictError:
            return  # given back already, by an attempt whose answer was lost, or taken over
        finally:
            self.leave([claim])

    async def _give_back(self, claim: Claim) -> None:
        async with self._store.begin() as work:
            run = await work.runs.finish(
                claim.run.run_id, STOPPED.status, self._clock.now(), error_code=STOPPED.error_code, error=STOPPED.error
            )
            await work.leases.release(claim.lease)
            await work.events.append(run_finished(run))
            await work.commit()


async def _interrupt(work: UnitOfWork, seen: Lease | None, now: datetime) -> Run | None:
    """Mark the run of a lease that is being taken over, if it is still running."""
    if seen is None or seen.run_id is None:
        return None
    run = await work.runs.get(seen.run_id)
    if run is None or run.status is not RunStatus.RUNNING:
        return None
    return await work.runs.finish(
        run.run_id,
        RunStatus.INTERRUPTED,
        now,
        error_code=TAKEN_OVER,
        error="its process died, stood still or lost its database before it could note its end",
    )
