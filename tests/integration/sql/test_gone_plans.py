"""What it costs to find out what is gone: pages of a source's records, and its newest listing in a long ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from plans import plans
from sqlalchemy import insert

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.repositories.runs import SqlRuns
from kasparro_adapters.sql.tables import run_batches, runs
from kasparro_core.model import Counters, Extent, Observation, RunStatus, Trigger
from kasparro_core.testing.build import later, prepared, record

SOURCES = ("a", "b", "c")
EACH = 2_000


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """Three sources with 2,000 records and 2,000 runs each; the last run but one of each began a listing."""
    opened = SqlStore(database_url)
    async with opened.begin() as work:
        for source in SOURCES:
            rows = [prepared(record(f"k{n}", source=source), n) for n in range(EACH)]
            await work.records.upsert(rows, Observation(source, 1, None, later(0)))
        session = work.records._session
        await session.run(insert(runs), [_run(n, source) for n in range(EACH) for source in SOURCES])
        await session.run(insert(run_batches), [_read(n) for n in range(EACH * len(SOURCES))])
        await work.commit()
    async with opened.begin() as work:
        await work.records._session.driver_sql("ANALYZE")
        await work.commit()
    yield opened
    await opened.close()


def _run(n: int, source: str) -> dict[str, Any]:
    status = str(RunStatus.SUCCEEDED)
    times = {"started_at": later(n), "finished_at": later(n)}
    return {"source": source, "trigger": str(Trigger.CLI), "status": status, **times, **Counters()._asdict()}


def _read(n: int) -> dict[str, Any]:
    began = n // len(SOURCES) == EACH - 2
    counters = {"counters": "{}", "observed_at": later(n), "url": None, "status": 304, "raw_id": None}
    extent = int(Extent.FIRST if began else Extent.PART)
    return {"run_id": n + 1, "partition": "", "seq": 1, "extent": extent, "same_as": str(n), **counters}


async def test_the_records_of_a_source_are_read_along_their_index(store: SqlStore) -> None:
    """First page and a deep one: no sort, and no walk over the records of others."""
    async with store.begin(write=False) as work:
        deep = (await work.records.present("b", later(1), limit=EACH))[EACH // 2].record_id
    for after in (0, deep):
        (plan,) = await plans(store, lambda records, a=after: records.present("b", later(1), after=a, limit=100))
        assert "ix_records_source_record_id" in plan
        for word in ("TEMP B-TREE", "Sort", "Seq Scan", "Bitmap", "SCAN"):
            assert word not in plan, plan


async def _listing(records: Any) -> Any:
    """Ask for the newest listing in the unit of work that these records are of."""
    return await SqlRuns(records._session, records._filters._database).listing("b", "")


async def test_the_newest_listing_is_found_from_the_end(store: SqlStore) -> None:
    """Of 6,000 runs with a read each those behind the newest beginning are looked at: the beginning is looked for
    backwards along the ledger's indexes, and nothing is read through."""
    async with store.begin(write=False) as work:
        found = [read.same_as for read in await work.runs.listing("b", "")]
    assert found == [str((EACH - 2) * 3 + 1), str((EACH - 1) * 3 + 1)]
    begin, onward = await plans(store, _listing)
    assert "Backward" in begin or "SEARCH" in begin
    for word in ("TEMP B-TREE", "Sort", "Seq Scan", "SCAN"):
        assert word not in begin, begin
    for word in ("Seq Scan", "SCAN"):
        assert word not in onward, onward
