"""What it costs to find out what became of records: those that were written since, and their versions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from plans import plans

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import Observation
from kasparro_core.model.span import Fate, Span
from kasparro_core.testing.build import later, payload, prepared, record

EACH = 3_000
CHANGED = 30


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """Two sources with 3,000 records each, all of them with a version; of one, 30 were changed by a last run."""
    opened = SqlStore(database_url)
    async with opened.begin() as work:
        for run_id in (1, 2):
            for source in ("a", "b"):
                await _bring_in(work, source, run_id, EACH)
        await work.commit()
    async with opened.begin() as work:
        await work.records._session.driver_sql("ANALYZE")
        await work.commit()
    yield opened
    await opened.close()


async def _bring_in(work, source, run_id, count):
    rows = [prepared(record(f"k{n:04}", source=source, title=str(run_id)), n) for n in range(count)]
    raw_id = await work.raw.put(source, "", payload(f"{run_id}"))
    await work.records.upsert(rows, Observation(source, run_id, raw_id, later(run_id), history=True))


async def test_what_was_not_written_since_is_not_looked_at(store: SqlStore) -> None:
    """The records come by the feed of changes, their versions by the record: whatever else there is. Of a run that left
    no facts all records of the source are looked at, each once."""
    async with store.begin() as work:
        before = await work.records.last_change()
        await _bring_in(work, "b", 3, CHANGED)
        span = Span("b", 2, 3, later(2.5), later(3.5), before, await work.records.last_change())
        await work.commit()
    async with store.begin(write=False) as work:
        assert (await work.records.fates(span))[Fate.CHANGED].count == CHANGED
    (plan,) = await plans(store, lambda records: records.fates(span))
    assert "ix_records_change_seq" in plan
    assert "ix_record_versions_record_id" in plan or "uq_record_versions_record_id" in plan
    for word in ("Seq Scan", "SCAN records", "SCAN record_versions"):
        assert word not in plan, plan
    (unplaced,) = await plans(store, lambda records: records.fates(Span("b", 1, 2, later(1.5), later(2.5))))
    assert "SCAN record" not in unplaced, "without a place in the feed the records of the source are looked at"
