"""One contract, three stores: memory, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from keeping import keep as keep_rows

from kasparro_adapters.memory import MemoryStore
from kasparro_core.ports import Store
from kasparro_core.testing import (
    AnswerContract,
    CheckpointContract,
    EntityContract,
    EventContract,
    FindingContract,
    GoneContract,
    KeyContract,
    LeaseContract,
    ListingContract,
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
from kasparro_core.testing.entities import Found, Keep


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


class TestSchemas(SchemaContract):
    """SchemaStore."""


class TestAnswers(AnswerContract):
    """AnswerStore."""


class TestRates(RateContract):
    """RateStore."""


class _WithRows:
    """Rows of tables that nothing of this version writes."""

    @pytest.fixture
    def keep(self, store: Store) -> Keep:
        """Commits rows as they are."""

        async def keep(rows: Sequence[Found]) -> None:
            await keep_rows(store, rows)

        return keep


class TestRecordQueries(_WithRows, RecordQueryContract):
    """RecordRepository, as it is read."""


class TestEntities(_WithRows, EntityContract):
    """EntityStore."""


class TestFindings(_WithRows, FindingContract):
    """FindingStore."""


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
