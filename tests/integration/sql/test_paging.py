"""Pages of a big table: each row once while others write, and never a sort or a walk over what lies before."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from plans import plans

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import EVERY_RECORD, NEWEST_FIRST, Observation, Order, PreparedRecord, RecordQuery, SortField
from kasparro_core.testing.build import SOURCE, later, prepared, record

ROWS = int(os.environ.get("KASPARRO_TEST_ROWS", "5000"))
BATCH = 10_000
SORTED = re.compile(r"Sort\s+\(cost=\S+ rows=(\d+)")
FEW = 1000
BY_VALUE = (SortField.OCCURRED_AT, SortField.UPDATED_AT, SortField.VALUE)
READS = {
    "newest first": (EVERY_RECORD, NEWEST_FIRST),
    "source": (RecordQuery(source=SOURCE), NEWEST_FIRST),
    "kind": (RecordQuery(kind="quote"), NEWEST_FIRST),
    "symbol": (RecordQuery(symbol="BTC"), NEWEST_FIRST),
    **{
        f"{'-' * descending}{field}": (EVERY_RECORD, Order(field, descending))
        for field in BY_VALUE
        for descending in (False, True)
    },
}


def _row(n: int, title: str = "") -> PreparedRecord:
    value = Decimal(n * 37 % 1009) if n % 3 else None
    occurred_at = later(n * 7 % 997) if n % 4 else None
    return prepared(record(f"k{n}", title=title, symbol="BTC", value=value, occurred_at=occurred_at), n)


async def _write(store: SqlStore, rows: list[PreparedRecord], seen: float) -> None:
    async with store.begin() as work:
        await work.records.upsert(rows, Observation(SOURCE, 1, None, later(seen)))
        await work.commit()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """A store with ROWS records."""
    opened = SqlStore(database_url)
    for start in range(0, ROWS, BATCH):
        await _write(opened, [_row(n) for n in range(start, min(start + BATCH, ROWS))], 0)
    yield opened
    await opened.close()


async def test_each_row_of_the_start_comes_once_while_a_writer_inserts_and_updates(store: SqlStore) -> None:
    """Paging newest first beside a writer that changes and adds rows all the time: every row that was there when it
    began is seen exactly once."""
    written = 0
    over = asyncio.Event()

    async def write() -> None:
        nonlocal written
        while not over.is_set():
            written += 1
            changed = [_row(n, f"changed {written}") for n in range(written % 100, ROWS, 100)]
            added = [_row(ROWS + written * 10 + n) for n in range(10)]
            await _write(store, changed + added, written)

    async def read() -> Counter[str]:
        seen: Counter[str] = Counter()
        after = None
        while True:
            async with store.begin(write=False) as work:
                page = await work.records.select(EVERY_RECORD, after=after, limit=50)
            if not page:
                return seen
            seen.update(row.record.key for row in page)
            after = NEWEST_FIRST.place_of(page[-1])

    writer = asyncio.create_task(write())
    try:
        seen = await read()
    finally:
        over.set()
        await writer
    assert written > 1
    assert {f"k{n}": seen[f"k{n}"] for n in range(ROWS)} == {f"k{n}": 1 for n in range(ROWS)}
    assert max(seen.values()) == 1


@pytest.mark.parametrize("name", READS)
async def test_no_page_sorts_or_skips(store: SqlStore, name: str) -> None:
    """First page, a deep one, and one among the last rows without a value: no OFFSET, no scan of the table, and no
    sort, but where PostgreSQL has statistics and sees that so few rows are left that reading them all is cheapest."""
    query, order = READS[name]
    async with store.begin(write=False) as work:
        deep = (await work.records.select(query, order=order, offset=ROWS // 2, limit=1))[0]
        last = (await work.records.select(query, order=order, offset=ROWS - 60, limit=1))[0]
    for after in (None, order.place_of(deep), order.place_of(last)):
        found = await plans(store, lambda records, a=after: records.select(query, order=order, after=a))
        assert found
        for plan in found:
            assert not (sorted_rows := SORTED.search(plan)) or int(sorted_rows[1]) < FEW, plan
            for word in ("TEMP B-TREE", "OFFSET", "Seq Scan", "Bitmap"):
                assert word not in plan, plan
            assert "SEARCH" in plan or "Index Scan" in plan or (plan == "SCAN records" and after is None), plan


LISTED = {
    "source": RecordQuery(source="first"),
    "kind": RecordQuery(kind="candle"),
    "symbol": RecordQuery(symbol="ETH"),
    "source and kind": RecordQuery(source="first", kind="candle"),
}


@pytest.mark.parametrize("statistics", [False, True], ids=["new", "analyzed"])
async def test_what_was_loaded_first_is_not_looked_for_among_the_rest(store: SqlStore, statistics: bool) -> None:
    """A source is loaded, then others: its page begins in the index that lists it, whatever a planner that has
    statistics thinks of the way back through everything younger. First page and a deep one, both directions."""
    first = [prepared(record(f"f{n}", source="first", kind="candle", symbol="ETH"), n) for n in range(ROWS // 4)]
    async with store.begin() as work:
        await work.records._session.driver_sql("UPDATE records SET record_id = record_id + 1000000")  # the rest
        await work.records.upsert(first, Observation("first", 1, None, later(0)))
        if statistics:
            await work.records._session.driver_sql("ANALYZE")
        await work.commit()
    for name, query in LISTED.items():
        index = f"ix_records_{'symbol' if query.symbol else 'source' if query.source else 'kind'}_record_id"
        for order in (NEWEST_FIRST, Order(descending=False)):
            async with store.begin(write=False) as work:
                deep = (await work.records.select(query, order=order, offset=ROWS // 8, limit=1))[0]
            for after in (None, order.place_of(deep)):
                (plan,) = await plans(
                    store, lambda records, q=query, o=order, a=after: records.select(q, order=o, after=a)
                )
                assert index in plan, (name, plan)
                assert "Sort" not in plan, (name, plan)


async def test_equal_values_before_a_place_are_not_walked_over(sqlite_url: str) -> None:
    """All rows were seen at one instant: SQLite continues among them by record_id, not from their first one."""
    store = SqlStore(sqlite_url)
    await _write(store, [_row(n) for n in range(200)], 0)
    order = Order(SortField.UPDATED_AT)
    async with store.begin(write=False) as work:
        place = order.place_of((await work.records.select(EVERY_RECORD, order=order, limit=100))[-1])
    found = await plans(store, lambda records: records.select(EVERY_RECORD, order=order, after=place, limit=50))
    await store.close()
    assert found == ["SEARCH records USING INDEX ix_records_updated_at_record_id (updated_at=? AND record_id<?)"]


@pytest.mark.parametrize("query", [EVERY_RECORD, RecordQuery(symbol="BTC"), RecordQuery(source=SOURCE, kind="quote")])
async def test_the_change_feed_reads_along_its_index(store: SqlStore, query: RecordQuery) -> None:
    """A page of changes is a range of the index over change_seq, without a sort, and with a filter that leaves
    everything too. (PostgreSQL needs its statistics for that.)"""
    if store._database.shown.startswith("postgresql"):
        async with store.begin() as work:
            await work.records._session.driver_sql("ANALYZE")
            await work.commit()
    for after in (0, ROWS // 2, ROWS - 100):
        (found,) = await plans(store, lambda records, a=after: records.changes(query, after_seq=a))
        assert "ix_records_change_seq" in found, found
        assert "Sort" not in found
        assert "TEMP B-TREE" not in found
