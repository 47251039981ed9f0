"""How many records match, of more than are counted: near the truth, and without reading them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from plans import plans
from sqlalchemy import delete

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.repositories.record_estimate import EXACT
from kasparro_adapters.sql.tables import records
from kasparro_core.model import EVERY_RECORD, Observation, RecordQuery
from kasparro_core.testing.build import SOURCE, later, prepared, record

ROWS = EXACT + 2_500
MANY = {
    "all": EVERY_RECORD,
    "source": RecordQuery(source=SOURCE),
    "title": RecordQuery(q="ODD"),
    "kind and title": RecordQuery(kind="quote", q="odd"),
    "value": RecordQuery(min_value=Decimal(50)),
    "present": RecordQuery(gone=False),
}


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """A store with ROWS records of one source and kind: every second title is odd, values go from 0 to 99."""
    opened = SqlStore(database_url)
    rows = [
        prepared(record(f"k{n}", title=f"{'odd' if n % 2 else 'even'} {n}", value=Decimal(n % 100)), n)
        for n in range(ROWS)
    ]
    async with opened.begin() as work:
        await work.records.upsert(rows, Observation(SOURCE, 1, None, later(0)))
        await work.commit()
    yield opened
    await opened.close()


async def _both(store: SqlStore, query: RecordQuery) -> tuple[int, int]:
    async with store.begin(write=False) as work:
        return await work.records.estimate(query), await work.records.count(query)


@pytest.mark.parametrize("name", MANY)
async def test_an_estimate_of_many_is_near_the_truth(store: SqlStore, name: str) -> None:
    """Whatever the filter, with an index or without, and on a table that no statistics were made of."""
    guess, exact = await _both(store, MANY[name])
    assert exact > 1000
    assert abs(guess - exact) <= exact // 20


async def test_ids_that_are_gone_are_not_counted(store: SqlStore) -> None:
    """Records that were pruned leave gaps between the ids: they are taken into account."""
    async with store.begin() as work:
        await work._session.run(delete(records).where(records.c.record_id % 10 == 0))
        await work.commit()
    guess, exact = await _both(store, EVERY_RECORD)
    assert exact == ROWS - ROWS // 10
    assert abs(guess - exact) <= exact // 20


async def test_what_no_index_finds_is_not_searched_for(store: SqlStore) -> None:
    """For a title that no record has only so many records are looked at: more than EXACT are there to be looked at, so
    that a sample of all ids answers, in two more statements."""
    for query in (RecordQuery(q="nowhere"), RecordQuery(gone=True)):
        assert await _both(store, query) == (0, 0)
        assert len(await plans(store, lambda work, q=query: work.estimate(q))) == 3
