"""The unit of work and the store: one unit of work is one transaction, and every repository hangs off it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kasparro_core.ports.budgets import RateStore
from kasparro_core.ports.histories import Histories
from kasparro_core.ports.identity import EntityStore, IdentityStore
from kasparro_core.ports.ledger import RawStore, RunLog
from kasparro_core.ports.mentions import MentionStore
from kasparro_core.ports.service import (
    AnswerStore,
    EventLog,
    FindingStore,
    KeyStore,
    Retention,
    ScheduleStore,
    SchemaStore,
    TotalsStore,
)
from kasparro_core.ports.storage import (
    CheckpointStore,
    LeaseStore,
    PartitionStore,
    RecordRepository,
    RejectionStore,
    ValidatorStore,
)


class UnitOfWork(Protocol):
    """One transaction. `async with store.begin() as work: ...; await work.commit()`."""

    @property
    def records(self) -> RecordRepository:
        """Records of this transaction."""
        ...

    @property
    def raw(self) -> RawStore:
        """Raw payloads of this transaction."""
        ...

    @property
    def runs(self) -> RunLog:
        """The ledger of this transaction."""
        ...

    @property
    def checkpoints(self) -> CheckpointStore:
        """Positions of this transaction."""
        ...

    @property
    def partitions(self) -> PartitionStore:
        """Partition states of this transaction."""
        ...

    @property
    def rejections(self) -> RejectionStore:
        """Rejections of this transaction."""
        ...

    @property
    def validators(self) -> ValidatorStore:
        """Validators of this transaction."""
        ...

    @property
    def leases(self) -> LeaseStore:
        """Leases of this transaction."""
        ...

    @property
    def totals(self) -> TotalsStore:
        """Sums for ever, of this transaction."""
        ...

    @property
    def events(self) -> EventLog:
        """Events of this transaction."""
        ...

    @property
    def keys(self) -> KeyStore:
        """API keys of this transaction."""
        ...

    @property
    def schedules(self) -> ScheduleStore:
        """Schedules of this transaction."""
        ...

    @property
    def answers(self) -> AnswerStore:
        """Answers given, of this transaction."""
        ...

    @property
    def entities(self) -> EntityStore:
        """Entities of this transaction."""
        ...

    @property
    def identity(self) -> IdentityStore:
        """What decides on entities, in this transaction."""
        ...

    @property
    def mentions(self) -> MentionStore:
        """What articles speak of, in this transaction."""
        ...

    @property
    def findings(self) -> FindingStore:
        """Drift and anomalies of this transaction."""
        ...

    @property
    def schemas(self) -> SchemaStore:
        """Remembered shapes of this transaction."""
        ...

    @property
    def histories(self) -> Histories:
        """Records beside their past, as this transaction sees them."""
        ...

    @property
    def retention(self) -> Retention:
        """What can be pruned, in this transaction."""
        ...

    @property
    def rates(self) -> RateStore:
        """Rate budgets, in this transaction."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A part of this transaction that can fail by itself: when its body raises UnstorableError, what the body did
        is undone, the error goes on up, and the unit of work can be used further. Any other error ends the unit."""
        ...

    async def commit(self) -> None:
        """Make it all visible and durable, at once. Once per unit of work."""
        ...


class Store(Protocol):
    """A database. Opens units of work; one instance serves a whole process."""

    def begin(self, *, write: bool = True) -> AbstractAsyncContextManager[UnitOfWork]:
        """A new transaction that rolls back unless committed. With `write=False` it only reads and blocks no writer;
        it needs no commit."""
        ...

    async def migrate(self) -> str:
        """Bring the schema to this version; concurrent callers are safe. Returns the schema revision.

        Raises PermanentStorageError when the database is newer than the program.
        """
        ...

    async def revision(self) -> str | None:
        """The schema revision of the database, None when it is empty."""
        ...

    async def close(self) -> None:
        """Close all connections. Twice is fine."""
        ...
