"""One contract, three stores: memory, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kasparro_adapters.memory import MemoryStore
from kasparro_core.ports import Store
from kasparro_core.testing import (
    CheckpointContract,
    LeaseContract,
    PartitionContract,
    RawStoreContract,
    RecordRepositoryContract,
    RejectionContract,
    RunLogContract,
    StoreContract,
    UnitOfWorkContract,
    ValidatorContract,
)


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


class TestStore(StoreContract):
    """Store."""


class TestUnitOfWork(UnitOfWorkContract):
    """UnitOfWork."""

    @pytest.fixture
    def two_writers(self, request: pytest.FixtureRequest) -> bool:
        """PostgreSQL alone lets two writers be open at once."""
        return "postgresql" in request.node.callspec.id
