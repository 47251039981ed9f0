"""Rows per second of `RecordRepository.upsert` in batches, each with its commit: new, unchanged, changed.

    python benchmarks/sql_write.py sqlite:////tmp/bench.db --rows 200000
    python benchmarks/sql_write.py postgresql://user:password@host/empty_database --rows 200000 --batch 10000

The database must be empty: the benchmark migrates and fills it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import Observation, PreparedRecord, Record, UpsertOutcome

START = datetime(2026, 1, 1, tzinfo=UTC)


def quote(n: int, state: int) -> PreparedRecord:
    """A market quote, prepared: hash and attributes are there already."""
    moment = START + timedelta(days=state, seconds=n % 86_400)
    attributes = (
        f'{{"market_cap":{n * 1000 + state},"name":"Coin {n}","price_change_24h":-{n % 97}.{n % 1000:03d},'
        f'"rank":{n % 5000},"volume_24h":{n * 7}.25}}'
    )
    value = Decimal(n * 37 + state).scaleb(-6)
    record = Record(
        source="bench",
        key=f"coin-{n:08d}",
        kind="quote",
        external_id=f"coin-{n:08d}",
        title=f"Coin {n}",
        symbol=f"C{n % 5000}",
        value=value,
        currency="USD",
        url=None,
        occurred_at=moment,
    )
    digest = blake2b(f"{record.key}{value}{moment}{attributes}".encode(), digest_size=16).hexdigest()
    return PreparedRecord(record, digest, attributes, n)


def batches(rows: int, size: int, state: int) -> Iterator[list[PreparedRecord]]:
    """All records of one state."""
    for start in range(0, rows, size):
        yield [quote(n, state) for n in range(start, min(start + size, rows))]


async def write(store: SqlStore, rows: int, size: int, state: int, *, history: bool) -> tuple[float, UpsertOutcome]:
    """Seconds spent in units of work, and the outcome."""
    seconds, total = 0.0, UpsertOutcome()
    observation = Observation("bench", 1, None, START + timedelta(days=state), history=history)
    for batch in batches(rows, size, state):
        begun = time.perf_counter()
        async with store.begin() as work:
            outcome = await work.records.upsert(batch, observation)
            await work.commit()
        seconds += time.perf_counter() - begun
        total = UpsertOutcome(*(a + b for a, b in zip(total, outcome, strict=True)))
    return seconds, total


async def main(url: str, rows: int, size: int) -> None:
    """Run the four passes and print one line for each."""
    store = SqlStore(url)
    await store.migrate()
    passes = (("new", 0, False), ("unchanged", 0, True), ("changed", 1, False), ("changed, history", 2, True))
    for name, state, history in passes:
        seconds, outcome = await write(store, rows, size, state, history=history)
        print(f"{name:>17}: {rows / seconds:>9,.0f} rows/s  {outcome}")
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=10_000)
    given = parser.parse_args()
    asyncio.run(main(given.url, given.rows, given.batch))
