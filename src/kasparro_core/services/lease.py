"""Ownership of a source during a run: claiming it, keeping it, giving it up.

    free ──take──▶ held ──finish──▶ free
                    │ owner's handle free (process dead), or lease expired
                    ▼
                 taken over: token + 1, the old run is marked interrupted, a new run resumes it

A live owner is never disturbed before its lease has run out, and its run is marked only by whoever takes the lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from kasparro_core.errors import ConflictError, StorageError
from kasparro_core.model import Lease, Run, RunStatus, Trigger
from kasparro_core.ports import Clock, Liveness, Observer, ProcessHandle, Store, UnitOfWork
from kasparro_core.services.outcome import STOPPED
from kasparro_core.services.steps import unbroken

WHOLE = ""
"""The partition under which a run holds its source."""

_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that has just begun, and the lease it holds."""

    run: Run
    lease: Lease


class LeaseKeeper:
    """A held lease that is renewed with every commit, and by itself only while no commit happens."""

    def __init__(self, store: Store, handle: ProcessHandle, clock: Clock, lease: Lease, ttl: float) -> None:
        self._store = store
        self._handle = handle
        self._clock = clock
        self._ttl = ttl
        self._renewed_at = clock.monotonic()
        self._turn = asyncio.Lock()
        self.lease = lease

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """A unit of work under this lease. They take turns here and not on the lease's row, where each would wait with
        a connection in its hands until the database loses patience."""
        async with self._turn, self._store.begin() as work:
            yield work

    async def renew_in(self, work: UnitOfWork) -> Lease:
        """Check the fence inside a unit of work. Raises ConflictError when the lease was taken over."""
        return await work.leases.renew(self.lease, ttl=self._ttl)

    def renewed(self, lease: Lease) -> None:
        """The unit of work that renewed it is committed."""
        self.lease = lease
        self._renewed_at = self._clock.monotonic()

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Renew in the background while the body waits on the network."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _beat(self) -> None:
        interval = self._ttl / 3
        while True:
            await self._clock.sleep(interval)
            try:
                await self._handle.hold()  # its connection may be lost: whoever judged us then would take us for dead
                if self._clock.monotonic() - self._renewed_at >= interval:
                    await self._renew_alone()
            except ConflictError:
                return  # the next commit meets the same conflict and stops the run
            except StorageError:
                continue  # the lease lasts two more intervals; a lasting fault fails the next commit

    async def _renew_alone(self) -> None:
        async with self.begin() as work:
            lease = await self.renew_in(work)
            await work.commit()
        self.renewed(lease)


class Claims:
    """Claims sources for one process."""

    def __init__(self, store: Store, handle: ProcessHandle, clock: Clock, observer: Observer, ttl: float) -> None:
        self._store = store
        self._handle = handle
        self._clock = clock
        self._observer = observer
        self._ttl = ttl

    async def claim(self, source: str, trigger: Trigger, *, wait: bool) -> Claim | None:
        """Begin a run that owns the source. None when another live owner has it and `wait` is false."""
        told = False
        while True:
            await self._handle.hold()
            lease = await self._look(source)
            if lease is None or await self._may_take(lease):
                claim = await self._take(source, trigger, lease)
                if claim is not None:
                    return claim
                continue
            if not wait:
                return None
            if not told:
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

    async def _look(self, source: str) -> Lease | None:
        async with self._store.begin(write=False) as work:
            return await work.leases.get(source, WHOLE)

    async def _may_take(self, lease: Lease) -> bool:
        """Free, expired, or its owner's process is dead."""
        if lease.run_id is None or lease.expired:
            return True
        return await self._handle.judge(lease.owner) is Liveness.DEAD

    async def _take(self, source: str, trigger: Trigger, seen: Lease | None) -> Claim | None:
        """Begin the run. Cancelled while that commits, nobody would carry it out: then the source is given back."""
        beginning = asyncio.ensure_future(self._begin(source, trigger, seen))
        try:
            return await unbroken(beginning)
        except asyncio.CancelledError:
            if (claim := beginning.result()) is not None:
                await unbroken(self._give_back(claim))
            raise

    async def _begin(self, source: str, trigger: Trigger, seen: Lease | None) -> Claim | None:
        """One transaction: lease, the dead run's end, the new run. None when somebody else was faster."""
        now = self._clock.now()
        try:
            async with self._store.begin() as work:
                lease = await work.leases.take(source, WHOLE, owner=self._handle.owner, ttl=self._ttl, seen=seen)
                dead = await _interrupt(work, seen, now)
                run = await work.runs.start(source, trigger, now, resumes=dead)
                lease = await work.leases.attach(lease, run.run_id)
                await work.commit()
        except ConflictError:
            return None
        return Claim(run, lease)

    async def _give_back(self, claim: Claim) -> None:
        async with self._store.begin() as work:
            await work.runs.finish(
                claim.run.run_id, STOPPED.status, self._clock.now(), error_code=STOPPED.error_code, error=STOPPED.error
            )
            await work.leases.release(claim.lease)
            await work.commit()


async def _interrupt(work: UnitOfWork, seen: Lease | None, now: datetime) -> int | None:
    """Mark the run of a lease that is being taken over, if it is still running; returns its id."""
    if seen is None or seen.run_id is None:
        return None
    run = await work.runs.get(seen.run_id)
    if run is None or run.status is not RunStatus.RUNNING:
        return None
    await work.runs.finish(
        run.run_id,
        RunStatus.INTERRUPTED,
        now,
        error_code="interrupted",
        error="the process that ran it ended without finishing it",
    )
    return run.run_id
