"""What a page of `RecordRepository.select` costs at the beginning and deep inside, for every order and filter.

    python benchmarks/paging.py  # SQLite in a temporary directory, PostgreSQL as the tests find it
    python benchmarks/paging.py sqlite:////tmp/bench.db --rows 200000 --page 4000
    python benchmarks/paging.py postgresql://user:password@host/empty_database

The database must be empty: the benchmark migrates and fills it. Each line: milliseconds of the first and of the deep
page (the median of several in turn) and their ratio; then how the database found the deep one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

import asyncpg
from sql_write import START, quote

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import (
    EVERY_RECORD,
    NEWEST_FIRST,
    Observation,
    Order,
    Place,
    PreparedRecord,
    RecordQuery,
    SortField,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

LIMIT = 50
ROUNDS = 15
BATCH = 10_000
READS = {
    "newest first": (EVERY_RECORD, NEWEST_FIRST),
    "source": (RecordQuery(source="bench"), NEWEST_FIRST),
    "kind": (RecordQuery(kind="quote"), NEWEST_FIRST),
    "symbol": (RecordQuery(symbol="BTC"), NEWEST_FIRST),
    **{
        f"{'-' * descending}{field}": (EVERY_RECORD, Order(field, descending))
        for field in (SortField.OCCURRED_AT, SortField.UPDATED_AT, SortField.VALUE)
        for descending in (False, True)
    },
    "source, -occurred_at": (RecordQuery(source="bench"), Order(SortField.OCCURRED_AT)),
}


def row(n: int) -> PreparedRecord:
    """All of one source and kind, nine of ten of one symbol; every fifth has no value, every seventh no time."""
    made = quote(n, 0)
    content = made.record
    content = content._replace(
        symbol="BTC" if n % 10 else "ETH",
        value=None if n % 5 == 0 else content.value,
        occurred_at=None if n % 7 == 0 else content.occurred_at,
    )
    return made._replace(record=content)


async def fill(store: SqlStore, rows: int) -> None:
    """The rows, in batches that were seen one second after the other."""
    for start in range(0, rows, BATCH):
        seen = Observation("bench", 1, None, START + timedelta(seconds=start // BATCH))
        async with store.begin() as work:
            await work.records.upsert([row(n) for n in range(start, min(start + BATCH, rows))], seen)
            await work.commit()


async def place(store: SqlStore, query: RecordQuery, order: Order, page: int) -> Place:
    """Where this page (from 1) begins, or the last one of the result."""
    async with store.begin(write=False) as work:
        matching = await work.records.count(query)
        offset = min(LIMIT * (page - 1), matching - LIMIT) - 1
        return order.place_of((await work.records.select(query, order=order, offset=offset, limit=1))[0])


async def cost(store: SqlStore, query: RecordQuery, order: Order, after: Place | None) -> float:
    """Milliseconds of one page."""
    begun = time.perf_counter()
    async with store.begin(write=False) as work:
        found = await work.records.select(query, order=order, after=after, limit=LIMIT)
    assert len(found) == LIMIT
    return (time.perf_counter() - begun) * 1000


async def measure(url: str, rows: int, page: int) -> None:
    """Fill, then one line and one plan for each read; PostgreSQL first without and then with statistics."""
    store = SqlStore(url)
    await store.migrate()
    await fill(store, rows)
    await _compare(store, page)
    if url.startswith("postgresql"):
        await analyze(url)
        print("after ANALYZE")
        await _compare(store, page)
    await store.close()


async def analyze(url: str) -> None:
    """Let PostgreSQL gather statistics, as autovacuum does after a while."""
    connection = await asyncpg.connect(url)
    await connection.execute("ANALYZE records")
    await connection.close()


async def _compare(store: SqlStore, page: int) -> None:
    from plans import plans

    for name, (query, order) in READS.items():
        after = await place(store, query, order, page)
        times = [(await cost(store, query, order, None), await cost(store, query, order, after)) for _ in range(ROUNDS)]
        first, deep = (median(column) for column in zip(*times, strict=True))
        print(f"{name:>22}: page 1 {first:7.2f} ms  page {page} {deep:7.2f} ms  ratio {deep / first:.2f}")
        for plan in await plans(
            store, lambda records, q=query, o=order, a=after: records.select(q, order=o, after=a, limit=LIMIT)
        ):
            print("".join(f"{'':>24}{line}\n" for line in plan.splitlines()), end="")


@contextmanager
def databases(url: str | None) -> Iterator[list[str]]:
    """The one that is given, or one of each kind that is gone afterwards."""
    if url is not None:
        yield [url]
        return
    from postgres import server

    with tempfile.TemporaryDirectory() as home, server() as running:
        yield [f"sqlite:///{Path(home).as_posix()}/paging.db", running.database_url(running.create())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--page", type=int, default=4000)
    given = parser.parse_args()
    with databases(given.url) as urls:
        for address in urls:
            print(address.split(":", 1)[0])
            asyncio.run(measure(address, given.rows, given.page))
