"""Records that their source no longer has: told apart by `gone`, until they are seen again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from kasparro_adapters.memory import MemoryStore
from kasparro_adapters.sql import SqlStore
from kasparro_core.model import RecordQuery
from kasparro_core.ports import Store
from kasparro_core.testing.build import later, observe, record


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A store of its kind: migrated and empty."""
    if request.param == "memory":
        opened: Store = MemoryStore()
    else:
        opened = SqlStore(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
    yield opened
    await opened.close()


async def _lose(store: Store, record_id: int, at: datetime) -> None:
    """Mark a record as one that its source no longer has."""
    async with store.begin() as work:
        assert await work.records.mark_gone([record_id], at) == 1
        await work.commit()


async def _keys(store: Store, *, gone: bool | None) -> list[str]:
    async with store.begin(write=False) as work:
        return [row.record.key for row in await work.records.page(RecordQuery(gone=gone))]


async def test_gone_records_are_told_apart_until_they_are_seen_again(store: Store) -> None:
    """`gone` true lists only the gone, false only the others, None both; an update makes a record present again."""
    await observe(store, record("a"), record("b"), record("c"))
    async with store.begin(write=False) as work:
        lost = (await work.records.page(RecordQuery()))[1].record_id
    await _lose(store, lost, later(9))
    async with store.begin(write=False) as work:
        found = await work.records.get(lost)
        assert found is not None
        assert found.gone_at == later(9)
        assert await work.records.count(RecordQuery(gone=True)) == 1
    assert await _keys(store, gone=True) == ["b"]
    assert await _keys(store, gone=False) == ["a", "c"]
    assert await _keys(store, gone=None) == ["a", "b", "c"]
    await observe(store, record("b", title="back"), seen=later(10))
    assert await _keys(store, gone=True) == []
