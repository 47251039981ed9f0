"""What it costs to ask for the records of one entity among many others: an index, and never a walk over them all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from plans import plans

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import Observation, Order, RecordQuery, SortField
from kasparro_core.model.entity import AssetId, Decision, Entity
from kasparro_core.testing.build import later, prepared, record
from kasparro_core.testing.entities import known

EACH = 2_000
ASSETS = "ix_records_asset"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """Two sources with 2,000 assets of one record each, two by two in an entity; one with long series of three."""
    opened = SqlStore(database_url)
    async with opened.begin() as work:
        for source in ("a", "b"):
            rows = [record(f"k{n}", source=source, external_id=f"k{n}", occurred_at=later(n)) for n in range(EACH)]
            await work.records.upsert([prepared(each) for each in rows], Observation(source, 1, None, later(0)))
        series = [record(f"{n}", source="c", external_id=f"s{n % 3}", occurred_at=later(n)) for n in range(EACH)]
        await work.records.upsert([prepared(each) for each in series], Observation("c", 1, None, later(0)))
        pairs = [known(source, f"k{n}", f"e{n}") for n in range(EACH) for source in ("a", "b")]
        made = [Entity(f"e{n}", "asset") for n in range(EACH)]
        await work.identity.save(Decision(made=made, known=[*pairs, known("c", "s1", "e7")]))
        await work.commit()
    async with opened.begin() as work:
        await work.records._session.driver_sql("ANALYZE")
        await work.commit()
    yield opened
    await opened.close()


async def test_records_of_an_entity_are_found_by_its_assets(store: SqlStore) -> None:
    """In every order, and counted, by the index of assets; the latest record of an asset is the first step of it, of a
    long series too."""
    query = RecordQuery(entity="e9")
    for order in map(Order, (SortField.RECORD_ID, SortField.OCCURRED_AT, SortField.UPDATED_AT)):
        for plan in await plans(store, lambda records, o=order: records.select(query, order=o, limit=50)):
            assert ASSETS in plan, plan
            walks_over_none(plan)
    (counted,) = await plans(store, lambda records: records.count(query))
    assert ASSETS in counted
    wanted = [AssetId("c", "s1"), AssetId("a", "k7")]
    (latest,) = await plans(store, lambda records: records.latest(wanted))
    assert latest.count(ASSETS) == 4
    assert "Sort" not in latest
    walks_over_none(latest)
    async with store.begin(write=False) as work:
        assert [row.record.key for row in await work.records.latest(wanted)] == ["k7", "1999"]


def walks_over_none(plan: str) -> None:
    """Nothing is looked at that is not asked for."""
    for word in ("Seq Scan on records", "SCAN records", "Bitmap Heap Scan on records"):
        assert word not in plan, plan
