"""A unit of work whose connection may break at each use, and around the commit."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from kasparro_adapters.chaos.connection import Connection
from kasparro_adapters.chaos.faults import Faults
from kasparro_adapters.chaos.points import Point
from kasparro_adapters.chaos.watched import WatchedCheckpoints, WatchedLeases
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
from kasparro_core.ports.unit import UnitOfWork


class ChaosUnitOfWork:
    """Implements `kasparro_core.ports.UnitOfWork` around another. To ask for a repository is to use the connection."""

    def __init__(self, work: UnitOfWork, faults: Faults, connection: Connection) -> None:
        self._work = work
        self._faults = faults
        self._connection = connection

    @property
    def leases(self) -> LeaseStore:
        """Leases; they tell whose unit of work this is."""
        return WatchedLeases(self._work.leases, self._connection)

    @property
    def checkpoints(self) -> CheckpointStore:
        """Positions; they tell whose unit of work this is."""
        return WatchedCheckpoints(self._work.checkpoints, self._connection)

    @property
    def records(self) -> RecordRepository:
        """Records."""
        return self._used.records

    @property
    def raw(self) -> RawStore:
        """Raw payloads."""
        return self._used.raw

    @property
    def runs(self) -> RunLog:
        """The ledger."""
        return self._used.runs

    @property
    def partitions(self) -> PartitionStore:
        """Partition states."""
        return self._used.partitions

    @property
    def rejections(self) -> RejectionStore:
        """Rejections."""
        return self._used.rejections

    @property
    def validators(self) -> ValidatorStore:
        """Validators."""
        return self._used.validators

    @property
    def totals(self) -> TotalsStore:
        """Sums for ever."""
        return self._used.totals

    @property
    def events(self) -> EventLog:
        """Events."""
        return self._used.events

    @property
    def keys(self) -> KeyStore:
        """API keys."""
        return self._used.keys

    @property
    def schedules(self) -> ScheduleStore:
        """Schedules."""
        return self._used.schedules

    @property
    def answers(self) -> AnswerStore:
        """Answers given."""
        return self._used.answers

    @property
    def entities(self) -> EntityStore:
        """Entities."""
        return self._used.entities

    @property
    def identity(self) -> IdentityStore:
        """What decides on entities."""
        return self._used.identity

    @property
    def mentions(self) -> MentionStore:
        """What articles speak of."""
        return self._used.mentions

    @property
    def findings(self) -> FindingStore:
        """Drift and anomalies."""
        return self._used.findings

    @property
    def schemas(self) -> SchemaStore:
        """Remembered shapes."""
        return self._used.schemas

    @property
    def histories(self) -> Histories:
        """Records beside their past."""
        return self._used.histories

    @property
    def retention(self) -> Retention:
        """What can be pruned."""
        return self._used.retention

    @property
    def rates(self) -> RateStore:
        """Rate budgets."""
        return self._used.rates

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A part that can fail by itself; an injected fault ends the whole unit of work, there too."""
        return self._work.savepoint()

    async def commit(self) -> None:
        """Commit, unless the connection breaks before it. When it breaks after it, the commit has happened."""
        self._connection.check()
        await self._faults.delay(Point.COMMIT_SLOW, self._connection.source)
        self._connection.lost(Point.COMMIT_BEFORE, "The connection to the database was cut before the commit")
        await self._work.commit()
        self._connection.lost(Point.COMMIT_AFTER, "The commit happened and its answer was lost")

    @property
    def _used(self) -> UnitOfWork:
        self._connection.use()
        return self._work
