"""A store that lives as long as its process: for tests, first steps, and work that needs no database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from kasparro_adapters.memory.entities import MemoryEntities
from kasparro_adapters.memory.findings import MemoryFindings, MemorySchemas
from kasparro_adapters.memory.histories import MemoryHistories
from kasparro_adapters.memory.identity import MemoryIdentity
from kasparro_adapters.memory.leases import MemoryLeases
from kasparro_adapters.memory.ledger import MemoryRaw, MemoryRuns
from kasparro_adapters.memory.mentions import MemoryMentions
from kasparro_adapters.memory.positions import MemoryCheckpoints, MemoryPartitions, MemoryValidators
from kasparro_adapters.memory.rates import MemoryRates
from kasparro_adapters.memory.records import MemoryRecords
from kasparro_adapters.memory.rejections import MemoryRejections
from kasparro_adapters.memory.retention import MemoryRetention
from kasparro_adapters.memory.schedules import MemorySchedules
from kasparro_adapters.memory.service import MemoryAnswers, MemoryEvents, MemoryKeys, MemoryTotals
from kasparro_adapters.memory.tables import State, Transaction
from kasparro_core.errors import PermanentStorageError

REVISION = "memory"
"""The schema revision of every memory store: it is made with the program and never older or newer."""


class MemoryUnitOfWork:
    """One transaction over a memory store."""

    def __init__(self, transaction: Transaction, now: Callable[[], datetime]) -> None:
        self.records = MemoryRecords(transaction)
        self.raw = MemoryRaw(transaction)
        self.runs = MemoryRuns(transaction)
        self.checkpoints = MemoryCheckpoints(transaction)
        self.partitions = MemoryPartitions(transaction)
        self.rejections = MemoryRejections(transaction)
        self.validators = MemoryValidators(transaction)
        self.leases = MemoryLeases(transaction, now)
        self.totals = MemoryTotals(transaction)
        self.events = MemoryEvents(transaction)
        self.keys = MemoryKeys(transaction)
        self.schedules = MemorySchedules(transaction, now)
        self.answers = MemoryAnswers(transaction)
        self.entities = MemoryEntities(transaction)
        self.identity = MemoryIdentity(transaction)
        self.mentions = MemoryMentions(transaction)
        self.findings = MemoryFindings(transaction)
        self.schemas = MemorySchemas(transaction)
        self.histories = MemoryHistories(transaction)
        self.retention = MemoryRetention(transaction)
        self.rates = MemoryRates(transaction, now)
        self._tx = transaction
        self._committed = False

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the body did when it raises UnstorableError, and go on."""
        with self._tx.savepoint():
            yield

    async def commit(self) -> None:
        """Make it all visible at once. Raises RuntimeError the second time."""
        if self._committed:
            raise RuntimeError("this unit of work is committed already")
        self._tx.apply()
        self._committed = True


class MemoryStore:
    """The Store in memory. One writer at a time; readers see the last committed state; nothing outlives the process.

    `now` is the clock by which leases expire and schedules fall due. Serves the tasks of one event loop.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._state = State()
        self._writer = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[MemoryUnitOfWork]:
        """A new transaction; a writer waits for the one before it. Raises PermanentStorageError once closed."""
        if self._closed:
            raise PermanentStorageError("The store in memory is closed.")
        if not write:
            yield MemoryUnitOfWork(Transaction(self._state, writable=False), self._now)
            return
        async with self._writer:
            transaction = Transaction(self._state, writable=True)
            try:
                yield MemoryUnitOfWork(transaction, self._now)
            finally:
                transaction.end()

    async def migrate(self) -> str:
        """Nothing to bring forward: the revision of this program."""
        return REVISION

    async def revision(self) -> str | None:
        """The revision of this program."""
        return REVISION

    async def close(self) -> None:
        """Open no further unit of work."""
        self._closed = True
