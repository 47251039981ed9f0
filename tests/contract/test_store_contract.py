"""One contract, three stores: memory, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from keeping import keep as keep_rows

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model.finding import DriftEvent
from kasparro_core.ports import Store
from kasparro_core.testing import (
    AnomalyContract,
    AnswerContract,
    CheckpointContract,
    EntityContract,
    EventContract,
    FatesContract,
    FindingContract,
    GoneContract,
    HistoriesContract,
    IdentityContract,
    KeyContract,
    LeaseContract,
    ListingContract,
    MentionContract,
    MuteContract,
    PartitionContract,
    RateContract,
    RawRetentionContract,
    RawStoreContract,
    RecordQueryContract,
    RecordRepositoryContract,
    RejectionContract,
    RetentionContract,
    RunLogContract,
    ScheduleContract,
    SchemaContract,
    StoreContract,
    TotalsContract,
    UnitOfWorkContract,
    ValidatorContract,
)
from kasparro_core.testing.findings import Keep


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def fresh(request: pytest.FixtureRequest) -> Store:
    """A store of its kind: migrated and empty."""
    if request.param == "memory":
        return MemoryStore()
    from kasparro_adapters.sql import SqlStore

    return SqlStore(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
async def store(fresh: Store) -> AsyncIterator[Store]:
    """The same, closed after the test."""
    yield fresh
    await fresh.close()


class TestRecords(RecordRepositoryContract):
    """RecordRepository."""


class TestGone(GoneContract):
    """RecordRepository, of what its source no longer has."""


class TestFates(FatesContract):
    """RecordRepository, of what became of records between two runs."""


class TestListings(ListingContract):
    """RunLog and RawStore, of listings."""


class TestRaw(RawStoreContract):
    """RawStore."""


class TestRuns(RunLogContract):
    """RunLog."""


class TestCheckpoints(CheckpointContract):
    """CheckpointStore."""


class TestPartitions(PartitionContract):
    """PartitionStore."""


class TestRejections(RejectionContract):
    """RejectionStore."""


class TestValidators(ValidatorContract):
    """ValidatorStore."""


class TestLeases(LeaseContract):
    """LeaseStore."""


class TestTotals(TotalsContract):
    """TotalsStore."""


class TestEvents(EventContract):
    """EventLog."""


class TestKeys(KeyContract):
    """KeyStore."""


class TestSchedules(ScheduleContract):
    """ScheduleStore."""


class TestAnomalies(AnomalyContract):
    """FindingStore, of what stands out."""


class TestMentions(MentionContract):
    """What articles speak of."""


class TestMutes(MuteContract):
    """FindingStore, of what is not to be told."""


class TestSchemas(SchemaContract):
    """SchemaStore."""


class TestHistories(HistoriesContract):
    """Histories."""


class TestAnswers(AnswerContract):
    """AnswerStore."""


class TestRates(RateContract):
    """RateStore."""


class _WithRows:
    """Rows with ids of their own."""

    @pytest.fixture
    def keep(self, store: Store) -> Keep:
        """Commits rows as they are."""

        async def keep(rows: Sequence[DriftEvent]) -> None:
            await keep_rows(store, rows)

        return keep


class TestRecordQueries(RecordQueryContract):
    """RecordRepository, as it is read."""


class TestEntities(EntityContract):
    """EntityStore."""


class TestIdentity(IdentityContract):
    """IdentityStore."""


class TestFindings(_WithRows, FindingContract):
    """FindingStore, of changes of shape."""


class TestRetention(RetentionContract):
    """Retention."""


class TestRawRetention(RawRetentionContract):
    """Retention of payloads."""


class TestStore(StoreContract):
    """Store."""


class TestUnitOfWork(UnitOfWorkContract):
    """UnitOfWork."""

    @pytest.fixture
    def two_writers(self, request: pytest.FixtureRequest) -> bool:
        """PostgreSQL alone lets two writers be open at once."""
        return "postgresql" in request.node.callspec.id
