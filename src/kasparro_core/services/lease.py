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

from kasparro_core.errors import ConflictError, TransientStorageError
from kasparro_core.model import Lease, Run, RunStatus, Trigger
from kasparro_core.ports import Clock, Liveness, Observer, ProcessHandle, Store, UnitOfWork

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

    def __init__(self, store: Store, clock: Clock, lease: Lease, ttl: float) -> None:
        self._store = store
        self._clock = clock
        self._ttl = ttl
        self._renewed_at = clock.monotonic()
        self.lease = lease

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
            if self._clock.monotonic() - self._renewed_at < interval:
                continue
            try:
                await self._renew_alone()
            except ConflictError:
                return  # the next commit meets the same conflict and stops the run
            except TransientStorageError:
                continue  # the lease lasts two more intervals; a lasting fault fails the next commit

    async def _renew_alone(self) -> None:
        async with self._store.begin() as work:
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

    async def _look(self, source: str) -> Lease | None:
        async with self._store.begin(write=False) as work:
            return await work.leases.get(source, WHOLE)

    async def _may_take(self, lease: Lease) -> bool:
        """Free, expired, or its owner's process is dead."""
        if lease.run_id is None or lease.expired:
            return True
        return await self._handle.judge(lease.owner) is Liveness.DEAD

    async def _take(self, source: str, trigger: Trigger, seen: Lease | None) -> Claim | None:
        """One transaction: lease, the dead run's end, the new run. None when somebody else was faster."""
        now = self._clock.now()
        try:
            async with self._store.begin() as work:
                token = seen.token if seen else 0
                lease = await work.leases.take(
                    source, WHOLE, owner=self._handle.owner, ttl=self._ttl, expected_token=token
                )
                dead = await _interrupt(work, seen, now)
                run = await work.runs.start(source, trigger, now, resumes=dead)
                lease = await work.leases.attach(lease, run.run_id)
                await work.commit()
        except ConflictError:
            return None
        self._observer.run_started(run)
        if dead is not None:
            self._observer.run_taken_over(run, dead)
        return Claim(run, lease)


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
