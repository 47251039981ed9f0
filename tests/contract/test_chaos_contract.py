"""Around real ports, with a rate of 0, the failing ones keep every contract.

What the wrapper only hands on is held to its contract in memory; what it has a part in, on every database too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from keeping import keep as keep_rows
from scripted import SteppingClock

from kasparro_adapters.chaos import ChaosSource, ChaosStore, Faults
from kasparro_adapters.files import CsvDecoder, CsvSource, CsvSourceConfig
from kasparro_adapters.memory import MemoryStore
from kasparro_core.model.finding import DriftEvent
from kasparro_core.ports import Source, Store
from kasparro_core.testing import (
    AnswerContract,
    CheckpointContract,
    EntityContract,
    EventContract,
    FindingContract,
    IdentityContract,
    KeyContract,
    LeaseContract,
    PartitionContract,
    RawRetentionContract,
    RawStoreContract,
    RecordQueryContract,
    RecordRepositoryContract,
    RejectionContract,
    RetentionContract,
    RunLogContract,
    ScheduleContract,
    SchemaContract,
    SourceContract,
    StoreContract,
    TotalsContract,
    UnitOfWorkContract,
    ValidatorContract,
)
from kasparro_core.testing.findings import Keep
from kasparro_core.testing.sources import Decoders, Expected, MakeSource

ROWS = [{"a": str(number), "b": f"x{number}\ny"} for number in range(10)]


def sound() -> Faults:
    """Rules under which nothing ever fails."""
    return Faults(SteppingClock(), rate=0, latency=1)


@pytest.fixture
def inner() -> Store:
    """The store inside."""
    return MemoryStore()


@pytest.fixture
async def store(inner: Store) -> AsyncIterator[Store]:
    """The same in its wrapper, closed after the test."""
    wrapped: Store = ChaosStore(inner, sound())
    yield wrapped
    await wrapped.close()


class _OnEach:
    """The store inside is of each kind."""

    @pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
    def inner(self, request: pytest.FixtureRequest) -> Store:
        """The store inside."""
        if request.param == "memory":
            return MemoryStore()
        from kasparro_adapters.sql import SqlStore

        return SqlStore(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


class _WithRows:
    """Rows with ids of their own."""

    @pytest.fixture
    def keep(self, inner: Store, store: Store) -> Keep:
        """Commits rows as they are, under the wrapper."""

        async def keep(rows: Sequence[DriftEvent]) -> None:
            await keep_rows(inner, rows)

        return keep


class TestRecords(RecordRepositoryContract):
    """RecordRepository."""


class TestRaw(RawStoreContract):
    """RawStore."""


class TestRuns(RunLogContract):
    """RunLog."""


class TestCheckpoints(_OnEach, CheckpointContract):
    """CheckpointStore."""


class TestPartitions(PartitionContract):
    """PartitionStore."""


class TestRejections(RejectionContract):
    """RejectionStore."""


class TestValidators(ValidatorContract):
    """ValidatorStore."""


class TestLeases(_OnEach, LeaseContract):
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


class TestRecordQueries(RecordQueryContract):
    """RecordRepository, as it is read."""


class TestEntities(EntityContract):
    """EntityStore."""


class TestIdentity(IdentityContract):
    """IdentityStore."""


class TestFindings(_WithRows, FindingContract):
    """FindingStore."""


class TestRetention(RetentionContract):
    """Retention."""


class TestRawRetention(RawRetentionContract):
    """Retention of payloads."""


class TestStore(_OnEach, StoreContract):
    """Store."""


class TestUnitOfWork(_OnEach, UnitOfWorkContract):
    """UnitOfWork."""

    @pytest.fixture
    def two_writers(self, request: pytest.FixtureRequest) -> bool:
        """PostgreSQL alone lets two writers be open at once."""
        return "postgresql" in request.node.callspec.id


class TestSource(SourceContract):
    """Source, around files of a glob."""

    @pytest.fixture
    def decoders(self) -> Decoders:
        """That of the files."""
        return {"csv": CsvDecoder()}

    @pytest.fixture
    def expected(self) -> Expected:
        """Two files of several batches."""
        rows: Sequence[dict[str, Any]] = ROWS
        return {"a.csv": rows, "b.csv": rows[:4]}

    @pytest.fixture
    def make_source(self, tmp_path: Path, expected: Expected, decoders: Decoders) -> MakeSource:
        """Three rows a batch."""
        for name, rows in expected.items():
            lines = "".join(f'{row["a"]},"{row["b"]}"\r\n' for row in rows)
            (tmp_path / name).write_bytes(f"a,b\r\n{lines}".encode())

        def make() -> Source:
            inner = CsvSource("prices", CsvSourceConfig(path="*.csv", batch_rows=3), tmp_path, SteppingClock())
            return ChaosSource(inner, sound(), decoders)

        return make
