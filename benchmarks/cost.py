"""What leases, checkpoints, ledger and events cost: records written as a run writes them, against the same writes bare.

    python benchmarks/cost.py  # SQLite in a temporary directory, PostgreSQL as the tests find it
    python benchmarks/cost.py postgresql://user:password@host/empty_database --batch 250 1000 5000 --rows 100000

Two writers take turns on one database. One writes batches and commits each, nothing else; the other writes equal
batches as a run does, without raw payloads. Each line: the medians as rows per second, their ratio (1 is free), and
what is added to a batch. The database must be empty, and the machine quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from sql_write import START, quote

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_app.observers import SilentObserver
from kasparro_core.model import Batch, FetchFacts, Observation, PreparedRecord, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.claims import Claims
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.prepare import PreparedBatch, Slice
from kasparro_core.services.writer import PartitionWriter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from postgres import server
from scripted import ScriptedSource

SIZES = (250, 1000, 5000)


def of(source: str, batch: Sequence[PreparedRecord]) -> list[PreparedRecord]:
    """The same records for another source."""
    return [prepared._replace(record=prepared.record._replace(source=source)) for prepared in batch]


class Bare:
    """Batches, each in a transaction of its own, and nothing else."""

    name = "bare"

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def write(self, batch: Sequence[PreparedRecord], at: datetime) -> None:
        """One batch."""
        async with self._store.begin() as work:
            await work.records.upsert(batch, Observation(self.name, 1, None, at))
            await work.commit()


class Run:
    """Batches as a run writes them: under its lease, with counters, ledger, event and checkpoint."""

    name = "run"

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._writer: PartitionWriter | None = None

    async def begin(self) -> None:
        """Claim the source."""
        clock, observer = SystemClock(), SilentObserver()
        source = ScriptedSource({"": []}, name=self.name)
        job = SourceJob(source, RecordMapping(source=self.name, kind="quote", key=["id"]), keep_raw=False)
        claims = Claims(self._store, MemoryHandle(MemoryOwners()), clock, observer, 60.0)
        claim = await claims.claim(self.name, Trigger.CLI, wait=True)
        assert claim is not None
        self._writer = PartitionWriter(
            store=self._store,
            clock=clock,
            observer=observer,
            job=job,
            run=claim.run,
            partition="",
            lease=claims.keeper(claim),
            checkpoint=None,
        )

    async def write(self, batch: Sequence[PreparedRecord], at: datetime) -> None:
        """One batch."""
        assert self._writer is not None
        part = Slice(len(batch), len(batch), batch, (), ())
        fetched = Batch({"page": len(batch)}, FetchFacts(at, url="test:", status=200, requests=1), None, ())
        await self._writer.write(PreparedBatch(fetched, None, [part]))


async def measure(writers: Sequence[Bare | Run], size: int, rounds: int, start: int) -> None:
    """Write `rounds` batches of a size, each new, then unchanged, then changed, the writers in turn."""
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        numbers = range(start + number * size, start + (number + 1) * size)
        for state, kind in ((0, "new"), (0, "unchanged"), (1, "changed")):
            batch = [quote(n, state) for n in numbers]
            at = START + timedelta(days=state)
            for writer in writers if number % 2 else writers[::-1]:
                rows = of(writer.name, batch)
                begun = time.perf_counter()
                await writer.write(rows, at)
                seconds[kind, writer.name].append(time.perf_counter() - begun)
    for kind in ("new", "unchanged", "changed"):
        bare, run = median(seconds[kind, "bare"]), median(seconds[kind, "run"])
        print(
            f"{size:>6} {kind:>10}: {size / bare:>9,.0f} rows/s bare, {size / run:>9,.0f} in a run, "
            f"{bare / run:.2f}, {1000 * (run - bare):+.1f} ms a batch"
        )


async def compare(url: str, sizes: Sequence[int], rows: int) -> None:
    """All sizes on one database, and one line for each size and kind of write."""
    print(url.partition(":")[0])
    store = SqlStore(url)
    await store.migrate()
    bare, run = Bare(store), Run(store)
    await run.begin()
    start = 0
    for size in sizes:
        rounds = max(9, rows // size)
        await measure((bare, run), size, rounds, start)
        start += rounds * size
    await store.close()


def main(url: str | None, sizes: Sequence[int], rows: int) -> None:
    """One database, or both kinds."""
    if url is not None:
        asyncio.run(compare(url, sizes, rows))
        return
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(f"sqlite:///{Path(directory, 'bench.db').as_posix()}", sizes, rows))
    with server() as running:
        asyncio.run(compare(running.database_url(running.create()), sizes, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--batch", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rows", type=int, default=100_000, help="about how many rows of each kind for a size")
    given = parser.parse_args()
    main(given.url, given.batch, given.rows)
