"""What it costs to know assets again across sources: recorded lists of two providers, each run with and without it.

    python benchmarks/identity.py sqlite:////tmp/bench.db --data ../shared/data
    python benchmarks/identity.py postgresql://user:password@host/empty_database --data ../shared/data --candles 1000000

The database must be empty: the benchmark migrates and fills it. Seconds are those of a processor. In turn: both lists
from nothing, all prices changed, nothing changed; then a file of candles of one asset; then all that is kept resolved
at once, in memory. `--without` switches the linking off, into an empty database too: the difference is what it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_app.collector import collect_seldom
from kasparro_core.identity.resolve import resolve
from kasparro_core.model import Batch, EntityQuery, FetchFacts, RawRecord, Run
from kasparro_core.model.entity import AssetId, Claim, Rulings
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import ReadContext, Store
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

START = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = ("id", "name", "symbol", "rank")
LISTS = {
    "coingecko": ("coingecko/dump_coins_list_2021-08_pretty.json.gz", "coingecko/dump_coins_list_2022-02.json.gz"),
    "coinpaprika": ("coinpaprika/dump_coins.json.gz", "coinpaprika/dump_coins_2022-05.json.gz"),
}


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
        """Real, so that a heartbeat beats as seldom as it does."""
        await asyncio.sleep(seconds)


class Silent:
    """An observer that says nothing."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args: None


@dataclass
class Listed:
    """A source of given rows, in batches of a size."""

    name: str
    clock: Clock
    size: int
    rows: Sequence[Mapping[str, Any]] = field(default_factory=list)

    async def partitions(self) -> Sequence[str]:
        """One."""
        return [""]

    async def read(self, _partition: str, _context: ReadContext) -> AsyncGenerator[Batch]:
        """All rows."""
        for start in range(0, len(self.rows), self.size):
            items = [RawRecord(n, row) for n, row in enumerate(self.rows[start : start + self.size])]
            yield Batch(items=items, cursor={"at": start}, fetch=FetchFacts(self.clock.now()))

    async def close(self) -> None:
        """Nothing is open."""


def mapping(source: str, kind: str = "quote") -> RecordMapping:
    """As the presets map their lists."""
    return RecordMapping(
        source=source,
        kind=kind,
        key=["id", "at"] if kind == "candle" else ["id"],
        external_id="id",
        title="name",
        symbol="symbol",
        value="price",
        currency={"const": "USD"},
        occurred_at="at",
        attributes={"rank": "rank", "market_cap": "market_cap", "volume_24h": "volume_24h"},
    )


def listed(data: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The assets of some lists, each as the last of them has it."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        with gzip.open(data / name) as file:
            found |= {row["id"]: {key: row.get(key) for key in FACTS} for row in json.load(file)}
    return list(found.values())


def priced(rows: Sequence[Mapping[str, Any]], state: int) -> list[dict[str, Any]]:
    """The same with made-up prices, others in each state."""
    at = (START + timedelta(minutes=5 * state)).isoformat()
    prices = [100.0 * (1 + state / 100) / (n + 1) for n in range(len(rows))]
    figures = [{"price": price, "market_cap": price * 1e9, "volume_24h": price * 1e7, "at": at} for price in prices]
    return [{**row, **own} for row, own in zip(rows, figures, strict=True)]


def candles(count: int) -> list[dict[str, Any]]:
    """Minute candles of one asset."""
    asset = {"id": "btc", "name": "Bitcoin", "symbol": "BTC"}
    return [{**asset, "price": 100 + n % 7, "at": (START + timedelta(minutes=n)).isoformat()} for n in range(count)]


async def timed_run(store: Store, source: Listed, kind: str, *, identity: bool) -> tuple[float, Run]:
    """A run, and how many seconds of a processor it took: a server's own work is not among them."""
    job = SourceJob(source, mapping(source.name, kind), keep_raw=False, anomalies=False, identity=identity)
    runner = Runner(store, MemoryHandle(MemoryOwners()), source.clock, {}, Silent())
    begun = time.process_time()
    run = await runner.run(job)
    took = time.process_time() - begun
    assert run is not None
    assert run.error is None, run.error
    return took, run


async def of_lists(store: Store, data: Path, size: int, *, identity: bool) -> None:
    """Both lists from nothing, changed, and unchanged."""
    clock = Clock()
    rows = {name: listed(data, files) for name, files in LISTS.items()}
    for state, name in ((0, "from nothing"), (1, "prices changed"), (2, "prices changed"), (2, "nothing changed")):
        took, counters = 0.0, Counter[str]()
        clock.at += timedelta(minutes=5)
        for source, assets in rows.items():
            given = Listed(source, clock, size, priced(assets, state))
            seconds, run = await timed_run(store, given, "quote", identity=identity)
            took += seconds
            counters.update(run.counters._asdict())
        print(f"{name:>16}: {took:>7,.2f} s  {counters['fetched'] / took:>9,.0f} records/s in batches of {size:,}")


async def of_candles(store: Store, count: int, *, identity: bool) -> None:
    """A file of one asset."""
    clock = Clock()
    given = Listed("candles", clock, 5_000, candles(count))
    took, _ = await timed_run(store, given, "candle", identity=identity)
    print(f"{'candles':>16}: {took:>7,.2f} s  {count / took:>9,.0f} records/s")


async def told(store: Store) -> None:
    """What came of it, and the same from nothing in memory."""
    async with store.begin(write=False) as work:
        counts = await work.entities.counts()
        claims: list[Claim] = []
        after = None
        while page := await work.entities.list(EntityQuery(after=after, limit=10_000, merged=False)):
            after = page[-1].entity_id
            links = [link for entity in page for link in await work.entities.links(entity.entity_id)]
            known = await work.entities.claims([AssetId(link.source, link.external_id) for link in links])
            claims += [each.claim for each in known.values()]
    print(f"{counts.entities:,} entities, {counts.merged:,} merged, {counts.candidates:,} candidates")
    print(f"links by method: {dict(counts.links)}")
    begun = time.process_time()
    resolution = resolve(claims, Rulings(), {})
    print(f"{'resolved at once':>16}: {time.process_time() - begun:>7,.2f} s  {len(resolution.links):,} assets")


async def main(url: str, data: Path, size: int, points: int, *, identity: bool) -> None:
    """Fill the database and print the times."""
    store = SqlStore(url)
    await store.migrate()
    await of_lists(store, data, size, identity=identity)
    if points:
        await of_candles(store, points, identity=identity)
    if identity:
        await told(store)
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--candles", type=int, default=0)
    parser.add_argument("--without", action="store_true")
    args = parser.parse_args()
    collect_seldom()  # as the service does
    asyncio.run(main(args.url, args.data, args.batch, args.candles, identity=not args.without))
