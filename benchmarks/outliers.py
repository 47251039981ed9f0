"""What it costs to judge the records of a run: quotes with a history, all of them changed; and a file of candles.

    python benchmarks/outliers.py sqlite:////tmp/bench.db --quotes 5000 --versions 30
    python benchmarks/outliers.py postgresql://user:password@host/empty_database --candles 1000000

The database must be empty: the benchmark migrates and fills it. Told is the time of a whole run with and without its
judgement, and of the judgement alone.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_core.model import Batch, FetchFacts, RawRecord, Run, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import ReadContext, Store
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.outliers import Outliers, examine
from kasparro_core.services.run import Runner

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 5_000
FIGURES = ("rank", "market_cap", "volume_24h", "high_24h", "low_24h", "circulating_supply", "total_supply", "ath")


@dataclass
class Clock:
    """A clock that is set by hand; monotonic time is real."""

    at: datetime = START

    def now(self) -> datetime:
        """The instant that was set."""
        return self.at

    def monotonic(self) -> float:
        """Seconds that pass."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


class Silent:
    """An observer that says nothing."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args: None


@dataclass
class Made:
    """A source of made-up rows."""

    name: str
    clock: Clock
    rows: Sequence[dict[str, Any]] = field(default_factory=list)

    async def partitions(self) -> Sequence[str]:
        """One."""
        return [""]

    async def read(self, _partition: str, _context: ReadContext) -> AsyncGenerator[Batch]:
        """All rows, so many at a time."""
        for start in range(0, len(self.rows), SIZE):
            items = [RawRecord(n, row) for n, row in enumerate(self.rows[start : start + SIZE])]
            yield Batch(items=items, cursor={"at": start}, fetch=FetchFacts(self.clock.now()))

    async def close(self) -> None:
        """Nothing is open."""


QUOTES = RecordMapping(
    source="quotes",
    kind="quote",
    key=["id"],
    external_id="id",
    title="name",
    symbol="symbol",
    value="price",
    currency={"const": "USD"},
    occurred_at="at",
    attributes={name: name for name in FIGURES},
)
CANDLES = RecordMapping(
    source="candles", kind="candle", key=["symbol", "at"], symbol="symbol", value="price", occurred_at="at"
)


def quotes(count: int, state: int) -> list[dict[str, Any]]:
    """All quotes of one state; each wanders by 2 %, and one in a thousand jumps by a factor of ten."""
    rows = []
    for n in range(count):
        random = Random(n)
        price = 100.0 / (n + 1)
        for _ in range(state):
            price *= 1 + random.gauss(0, 0.02)
        if n % 1000 == 999 and state % 10 == 9:
            price *= 10
        cap = 1e12 / (n + 1)
        figures = {
            "rank": n + 1,
            "market_cap": cap,
            "volume_24h": cap / random.uniform(10, 100),
            "high_24h": price * 1.1,
        }
        figures |= {"low_24h": price / 1.1, "circulating_supply": 1e9, "total_supply": 1e9, "ath": price * 3}
        coin = {"id": f"coin-{n:06d}", "name": f"Coin {n}", "symbol": f"C{n}", "price": price}
        rows.append({**coin, **figures, "at": (START + timedelta(minutes=5 * state)).isoformat()})
    return rows


def candles(count: int) -> list[dict[str, Any]]:
    """Minute candles of one asset."""
    random, price, rows = Random(1), 100.0, []
    for n in range(count):
        price *= 1 + random.gauss(0, 0.001)
        rows.append({"symbol": "BTC", "price": price, "at": (START + timedelta(minutes=n)).isoformat()})
    return rows


async def timed_run(store: Store, clock: Clock, job: SourceJob) -> tuple[float, Run]:
    """A run, and how long it took."""
    runner = Runner(store, MemoryHandle(MemoryOwners()), clock, {}, Silent())
    begun = time.perf_counter()
    run = await runner.run(job)
    took = time.perf_counter() - begun
    assert run is not None
    assert run.status in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED), run.error
    return took, run


async def timed_judgement(store: Store, job: SourceJob, run: Run, at: datetime) -> tuple[float, Outliers]:
    """The judgement of a run once more, and how long it took."""
    begun = time.perf_counter()
    found = await examine(store, job, run, at)
    return time.perf_counter() - begun, found


async def of_quotes(store: Store, count: int, versions: int) -> None:
    """Runs that change every quote, with so many versions of each behind them; then one that changes nothing."""
    clock = Clock()
    source = Made("quotes", clock)
    plain = SourceJob(source, QUOTES, history=True, keep_raw=False, anomalies=False)
    job = SourceJob(source, QUOTES, history=True, keep_raw=False)
    for state in range(versions + 2):
        source.rows, clock.at = quotes(count, state), START + timedelta(minutes=5 * state)
        took, run = await timed_run(store, clock, plain if state != versions + 1 else job)
        if state >= versions:
            name = "all changed, judged" if state > versions else "all changed, not judged"
            print(f"{name:>26}: {took * 1000:>8,.0f} ms  {run.counters.updated:,} updated")
    alone, found = await timed_judgement(store, job, run, clock.at)
    print(f"{'the judgement alone':>26}: {alone * 1000:>8,.0f} ms  {len(found.found)} found, {alone / took:.1%} of it")
    for each in (plain, job):
        took, run = await timed_run(store, clock, each)
        print(f"{'nothing changed':>26}: {took * 1000:>8,.0f} ms  anomalies = {each.anomalies}")
    alone, _ = await timed_judgement(store, job, run, clock.at)
    print(f"{'the judgement alone':>26}: {alone * 1000:>8,.1f} ms")


async def of_candles(store: Store, count: int) -> None:
    """One file of candles, judged."""
    clock = Clock()
    job = SourceJob(Made("candles", clock, candles(count)), CANDLES, keep_raw=False)
    took, run = await timed_run(store, clock, job)
    alone, found = await timed_judgement(store, job, run, clock.at)
    print(f"{'a file of candles':>26}: {took:>8,.1f} s  {run.counters.inserted:,} inserted")
    print(f"{'the judgement alone':>26}: {alone * 1000:>8,.0f} ms  {len(found.found)} found, {alone / took:.2%} of it")


async def main(url: str, count: int, versions: int, points: int) -> None:
    """Fill the database and print the times."""
    store = SqlStore(url)
    await store.migrate()
    if count:
        await of_quotes(store, count, versions)
    if points:
        await of_candles(store, points)
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--quotes", type=int, default=5_000)
    parser.add_argument("--versions", type=int, default=30)
    parser.add_argument("--candles", type=int, default=0)
    args = parser.parse_args()
    asyncio.run(main(args.url, args.quotes, args.versions, args.candles))
