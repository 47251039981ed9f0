"""Whatever is brought in, in whatever way: the databases count and keep the same as the store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import UpsertOutcome
from kasparro_core.ports import Store
from kasparro_core.testing.build import later, observe, prepared, record, table, versions

_sources = count()


class Row(NamedTuple):
    """One record of a call; few distinct values, so that everything collides with everything."""

    key: str
    title: str
    occurred: int | None
    raw_index: int


class Call(NamedTuple):
    """One upsert."""

    seen: int
    history: bool
    by_occurrence: bool
    rows: tuple[Row, ...]


ROWS = st.builds(Row, st.sampled_from("ab"), st.sampled_from("xyz"), st.none() | st.integers(0, 2), st.integers(0, 2))
CALLS = st.builds(Call, st.integers(0, 2), st.booleans(), st.booleans(), st.lists(ROWS, max_size=5).map(tuple))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def fresh(request: pytest.FixtureRequest) -> Store:
    """A database of its kind: migrated and empty."""
    from kasparro_adapters.sql import SqlStore

    return SqlStore(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
async def store(fresh: Store) -> AsyncIterator[Store]:
    """The same, closed after the test."""
    yield fresh
    await fresh.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALLS, min_size=1, max_size=6))
@example([Call(0, True, True, (Row("a", t, None, n),)) for t, n in [("x", 0), ("y", 0), ("x", 0), ("y", 1)]])
@example([Call(n % 2, True, False, (Row("a", t, None, 0),)) for n, t in enumerate("xyzxy")])
async def test_databases_agree_with_memory(store, calls):
    """Outcomes of each call, states, revisions and versions are the same on every store."""
    memory, source = MemoryStore(), f"agree-{next(_sources)}"
    for call in calls:
        assert await _bring_in(store, call, source) == await _bring_in(memory, call, source)
    assert await _left(store, source) == await _left(memory, source)


async def _bring_in(store: Store, call: Call, source: str) -> UpsertOutcome:
    rows = [
        prepared(
            record(
                row.key,
                source=source,
                title=row.title,
                occurred_at=None if row.occurred is None else later(row.occurred),
            ),
            row.raw_index,
        )
        for row in call.rows
    ]
    return await observe(
        store, *rows, seen=later(call.seen), history=call.history, by_occurrence=call.by_occurrence, source=source
    )


async def _left(store: Store, source: str) -> dict[str, Any]:
    rows = await table(store, source)
    return {
        key: (
            row.record,
            row.content_hash,
            row.raw_index,
            row.first_seen_at,
            row.updated_at,
            row.revision,
            sorted((v.content_hash, v.raw_index, v.observed_at) for v in await versions(store, key, source)),
        )
        for key, row in rows.items()
    }
