"""A store whose database fails on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kasparro_adapters.chaos.connection import Connection
from kasparro_adapters.chaos.faults import Faults
from kasparro_adapters.chaos.points import Point
from kasparro_adapters.chaos.unit import ChaosUnitOfWork
from kasparro_core.ports.unit import Store


class ChaosStore:
    """Implements `kasparro_core.ports.Store` around another store. Faults meet units of work alone: migrating, and
    looking which schema there is, never fail on purpose."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[ChaosUnitOfWork]:
        """A transaction of the store inside; an injected fault rolls it back like any other."""
        await self._faults.delay(Point.STORAGE_SLOW)
        async with self._store.begin(write=write) as work:
            yield ChaosUnitOfWork(work, self._faults, Connection(self._faults, write=write))

    async def migrate(self) -> str:
        """As the store inside does."""
        return await self._store.migrate()

    async def revision(self) -> str | None:
        """As the store inside says."""
        return await self._store.revision()

    async def close(self) -> None:
        """Close the store inside."""
        await self._store.close()
