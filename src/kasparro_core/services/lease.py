"""A held lease, kept alive: renewed with every commit, and by itself while a run waits on the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kasparro_core.errors import ConflictError, StorageError
from kasparro_core.model import Lease
from kasparro_core.ports import Clock, ProcessHandle, Store, UnitOfWork


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
