"""The feed of changes misses nothing, however late a writer commits."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from itertools import count

import asyncpg
import pytest

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import EVERY_RECORD
from kasparro_core.testing.build import bring_in, later, observe, record


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """A migrated store."""
    opened = SqlStore(database_url)
    yield opened
    await opened.close()


class Consumer:
    """Reads changes behind the `next_seq` that it keeps, as a client of the API does."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._next_seq = 0
        self.seen: list[str] = []

    async def read(self, limit: int = 50) -> None:
        """One page. A full one is followed behind its last row, any other behind the last change of the same view."""
        async with self._store.begin(write=False) as work:
            page = await work.records.changes(EVERY_RECORD, after_seq=self._next_seq, limit=limit)
            self._next_seq = page[-1].change_seq if len(page) == limit else await work.records.last_change()
        self.seen += [row.record.key for row in page]


async def _until_it_waits(url: str, writer: asyncio.Task[None]) -> None:
    """Until the database holds the writer at a lock, or it is through."""
    connection = await asyncpg.connect(url)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not writer.done():
            if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                return
            await asyncio.sleep(0.01)
        assert writer.done(), "the writer neither waits for a lock nor ends"
    finally:
        await connection.close()


async def _write(store: SqlStore, *keys: str) -> None:
    await observe(store, *(record(key) for key in keys))


@pytest.mark.postgres
@pytest.mark.parametrize("ends", ["commits", "rolls back"])
async def test_a_later_number_is_not_committed_first(postgres_url: str, ends: str) -> None:
    """Two transactions are open, and the one that came later tries to commit first: a consumer that reads in between
    misses neither's rows."""
    store = SqlStore(postgres_url)
    consumer = Consumer(store)
    async with store.begin() as early:
        await bring_in(early, [record("early 1"), record("early 2")])
        late = asyncio.create_task(_write(store, "late"))
        await _until_it_waits(postgres_url, late)
        await consumer.read()
        if ends == "commits":
            await early.commit()
    await late
    await consumer.read()
    await consumer.read()
    await store.close()
    assert consumer.seen == (["early 1", "early 2", "late"] if ends == "commits" else ["late"])


async def test_a_consumer_beside_many_writers_misses_nothing(store: SqlStore) -> None:
    """Writers that hold their transactions open for different times, small pages, reads at any moment: in the end the
    consumer has seen every row, and each state of it that was the last one."""
    chance = random.Random(3)
    numbers = count()

    async def write(name: str) -> None:
        for _ in range(8):
            async with store.begin() as work:
                await bring_in(
                    work,
                    [record(f"{name}-{n}") for n in range(3)] + [record("shared", title=name)],
                    seen=later(next(numbers)),
                )
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                await work.commit()

    consumer = Consumer(store)
    writers = asyncio.gather(*(write(f"w{n}") for n in range(4)))
    while not writers.done():
        await consumer.read(limit=2)
    await writers
    for _ in range(50):
        await consumer.read(limit=2)
    wanted = {f"w{w}-{n}" for w in range(4) for n in range(3)} | {"shared"}
    assert set(consumer.seen) == wanted
    before = len(consumer.seen)
    await consumer.read()
    assert len(consumer.seen) == before
