"""Two transactions of PostgreSQL that tell events at the same time: a listener misses none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from kasparro_adapters.sql import SqlStore
from kasparro_core.errors import TransientStorageError
from kasparro_core.model import Event, EventType, Trigger
from kasparro_core.testing.build import later

pytestmark = pytest.mark.postgres


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    """Two processes' stores of one database."""
    both = SqlStore(postgres_url), SqlStore(postgres_url)
    yield both
    for store in both:
        await store.close()


def _event(run_id: int) -> Event:
    return Event(EventType.RUN_FINISHED, "s", run_id, later(run_id))


async def _heard(store: SqlStore, after: int) -> list[tuple[int, int | None]]:
    async with store.begin(write=False) as work:
        return [(event.event_id, event.run_id) for event in await work.events.after(after)]


async def _waiting(store: SqlStore) -> None:
    """Until a transaction of this database waits for another one's lock."""
    async with asyncio.timeout(10):
        while True:
            async with store.begin(write=False) as work:
                waits = await work.events._session.driver_sql(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if waits.scalar_one():
                    return


async def test_a_late_commit_is_never_behind_the_listener(stores: tuple[SqlStore, SqlStore]) -> None:
    """Who appends while another transaction has appended waits for its end and gets the higher id: at no moment does
    a listener see an id while a lower one may still come."""
    first, second = stores

    async def tell_second() -> None:
        async with second.begin() as work:
            await work.events.append(_event(2))
            await work.commit()

    async with first.begin() as work:
        await work.events.append(_event(1))
        telling = asyncio.create_task(tell_second())
        await _waiting(first)
        assert await _heard(second, 0) == []
        assert not telling.done()
        await work.commit()
    await telling
    assert await _heard(first, 0) == [(1, 1), (2, 2)]
    assert await _heard(first, 1) == [(2, 2)]


async def test_who_waits_gets_the_id_of_one_that_is_rolled_back(stores: tuple[SqlStore, SqlStore]) -> None:
    """A rollback leaves no gap, and no listener waits for an event that never comes."""
    first, second = stores
    async with AsyncExitStack() as stack:
        work = await stack.enter_async_context(first.begin())
        await work.events.append(_event(1))
        other = await stack.enter_async_context(second.begin())
        telling = asyncio.create_task(other.events.append(_event(2)))
        await _waiting(first)
        await work._session._connection.rollback()
        await telling
        await other.commit()
    assert await _heard(first, 0) == [(1, 2)]


async def test_what_was_told_before_does_not_hold_others_up(stores: tuple[SqlStore, SqlStore]) -> None:
    """A transaction that has done everything but tell its event blocks nobody who tells one, and comes after it."""
    first, second = stores
    async with first.begin() as work:
        run = await work.runs.start("s", Trigger.CLI, later(0))
        async with second.begin() as other:
            await other.events.append(_event(2))
            await other.commit()
        await work.events.append(_event(run.run_id))
        await work.commit()
    assert await _heard(first, 0) == [(1, 2), (2, 1)]


async def test_an_appender_that_waits_too_long_gives_up(postgres_url: str, stores: tuple[SqlStore, SqlStore]) -> None:
    """A transaction that hangs after its event does not hang the others for ever: they are told to try again."""
    hasty = SqlStore(postgres_url, lock_wait=0.05)
    async with stores[0].begin() as work:
        await work.events.append(_event(1))
        with pytest.raises(TransientStorageError):
            async with hasty.begin() as other:
                await other.events.append(_event(2))
        await work.commit()
    await hasty.close()
    assert await _heard(stores[0], 0) == [(1, 1)]
