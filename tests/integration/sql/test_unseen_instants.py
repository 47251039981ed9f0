"""Rejections that a process of the version before wrote into this schema: when they were seen last is empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.tables import rejections
from kasparro_core.model import RejectionQuery, StoredRejection
from kasparro_core.ports import UnitOfWork
from kasparro_core.testing.build import SOURCE, later, rejection

FIRST = later(0)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[SqlStore]:
    """A store with one open rejection, first seen at FIRST, that says nothing of when it was seen last."""
    opened = SqlStore(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
    async with opened.begin() as work:
        await work.rejections.add(SOURCE, "", 1, 1, [rejection(key="a")], FIRST)
        await work._session.run(update(rejections).values(last_seen_at=None))  # type: ignore[attr-defined]
        await work.commit()
    yield opened
    await opened.close()


async def _only(work: UnitOfWork) -> StoredRejection:
    (found,) = await work.rejections.list(RejectionQuery())
    return found


async def test_they_count_as_seen_when_they_were_seen_first(store: SqlStore) -> None:
    """Read, and read one by one, they have the instant at which they were seen first."""
    async with store.begin(write=False) as work:
        found = await _only(work)
        assert found.last_seen_at == FIRST
        assert await work.rejections.get(found.rejection_id) == found


@pytest.mark.parametrize("again", [True, False])
async def test_seen_again_they_have_an_instant(store: SqlStore, *, again: bool) -> None:
    """A run and a replay that see one later note when."""
    async with store.begin() as work:
        await work.rejections.add(SOURCE, "", 1, 1, [rejection(key="a")], FIRST + HOUR, again=again)
        assert (await _only(work)).last_seen_at == FIRST + HOUR


async def test_a_replay_resolves_them(store: SqlStore) -> None:
    """By the key of what loads now, unless that was observed before."""
    async with store.begin() as work:
        assert await work.rejections.resolve(SOURCE, ["a"], FIRST - HOUR, again=False) == 0
        assert await work.rejections.resolve(SOURCE, ["a"], FIRST, again=False) == 1


async def test_settled_they_are_closed_when_they_were_seen(store: SqlStore) -> None:
    """By their place in a payload: they are closed as of the instant at which they were seen."""
    async with store.begin() as work:
        found = await _only(work)
        assert await work.rejections.settle(1, [found.raw_index], []) == 1
        assert (await _only(work)).closed_at == FIRST
