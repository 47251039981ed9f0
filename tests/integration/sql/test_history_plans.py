"""What it costs to judge the records of a run: each question goes along an index, however much other sources hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from plans import plans

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.repositories.histories import SqlHistories
from kasparro_core.model import Observation, PreparedRecord
from kasparro_core.testing.build import later, prepared, record

SOURCES = ("a", "b", "c")
EACH = 1_000
CHANGED = 20


def _quote(source: str, number: int, value: int) -> PreparedRecord:
    key = f"k{number}"
    return prepared(record(key, source=source, external_id=key, value=Decimal(value), currency="USD"), number)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """Three sources with 1,000 quotes of two states each; the last run changed twenty."""
    opened = SqlStore(database_url)
    async with opened.begin() as work:
        for run, count in ((1, EACH), (2, EACH), (3, CHANGED)):
            for source in SOURCES:
                rows = [_quote(source, n, run) for n in range(count)]
                await work.records.upsert(rows, Observation(source, run, run, later(run), history=True))
        await work.commit()
    async with opened.begin() as work:
        await work.records._session.driver_sql("ANALYZE")
        await work.commit()
    yield opened
    await opened.close()


async def test_no_question_reads_a_whole_table(store: SqlStore) -> None:
    """Of records and versions those are read that an index leads to, and entities by their keys."""

    async def ask(records: SqlHistories) -> None:
        histories = SqlHistories(records._session, store._database)
        assert len(await histories.changed("b", "quote", 3, later(3))) == CHANGED
        assert len(await histories.newest("b", "quote", limit=10)) == 10
        assert await histories.silent("b", "quote", later(0), revisions=2) == []
        assert len(await histories.earlier([1, 2, 3])) == 3
        assert await histories.late("b", 3, later(3)) == []
        assert await histories.twins("b", ["k1", "k2"]) == []

    shown = await plans(store, ask)  # type: ignore[arg-type]
    assert len(shown) == 6
    for plan in shown[:5]:  # the tables of the last one are empty
        assert "SCAN record" not in plan
        assert "Seq Scan on record" not in plan
