"""A CSV file of which a tenth is refused: how much slower it loads, and whether a replay after the mend equals a clean
load.

    python benchmarks/poisoned.py sqlite:////tmp/clean.db sqlite:////tmp/poisoned.db --rows 1000000
    python benchmarks/poisoned.py postgresql://user:password@host/empty postgresql://user:password@host/empty_too

Both databases must be empty. One file is loaded twice: by the right mapping into the first database (clean), and by one
that reads a column which a tenth of the rows have broken into the second (poisoned). The mapping is mended, and the
second database replayed. Everything is counted and compared; whatever is not as it has to be ends the benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kasparro_app.config.origin import Origin
from kasparro_app.runtime import Runtime, open_runtime
from kasparro_app.settings import settings_of
from kasparro_core.model import RecordQuery, RejectionQuery, Run
from kasparro_core.normalize.canonical import parse_json
from kasparro_core.ports import Store
from kasparro_core.services.rejections import matching

PAGE = 1000


def write_file(path: Path, rows: int, every: int) -> int:
    """Rows of which each `every`-th has a broken `price` and a sound `close`. Returns how many are broken."""
    broken = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("symbol,date,price,close,volume\n")
        for n in range(rows):
            close, bad = f"{n * 37 % 99_991}.{n % 100:02d}", n % every == every - 1
            broken += bad
            price = f"n/a {n}" if bad else close
            file.write(f"S{n:07d},2026-01-{n % 28 + 1:02d},{price},{close},{n * 7}\n")
    return broken


def sources(path: Path, value: str) -> Mapping[str, Any]:
    """The source with its value out of this column."""
    mapping = {
        "key": ["symbol", "date"],
        "external_id": "symbol",
        "occurred_at": {"field": "date", "format": "%Y-%m-%d"},
        "value": value,
        "attributes": {"volume": "volume"},
        "required": ["value"],
    }
    return {"prices": {"type": "csv", "path": path.name, "kind": "candle", "max_rejected": 0.5, "mapping": mapping}}


class Took(NamedTuple):
    """Seconds on the clock, and of this process's processor: where others work too, the second ones can be compared."""

    wall: float
    cpu: float

    def rate(self, rows: int) -> str:
        """Rows per second, both ways."""
        return f"{rows / self.wall:>10,.0f} rows/s, {rows / self.cpu:>10,.0f} rows per second of processor"


@contextmanager
def timed() -> Iterator[list[Took]]:
    """How long the body takes, in the list when it has ended."""
    took: list[Took] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    took.append(Took(time.perf_counter() - wall, time.process_time() - cpu))


async def load(path: Path, value: str, url: str) -> tuple[Run, Took]:
    """One run into an empty database, and what it took."""
    async with opened(url, path, value) as runtime:
        with timed() as took:
            run = await runtime.runner.run(runtime.jobs["prices"])
    if run is None or run.error:
        raise SystemExit(f"the run failed: {run}")
    return run, took[0]


async def replay(path: Path, value: str, url: str) -> tuple[Run, Took]:
    """Everything that is stored, by this mapping."""
    async with opened(url, path, value) as runtime:
        with timed() as took:
            run = await runtime.replayer.replay(runtime.jobs["prices"])
    return run, took[0]


async def rejections_of(url: str, path: Path, state: str) -> int:
    """How many there are in this state, each looked at: it has a reason, its row and its place."""
    count = 0
    async with opened(url, path, "close") as runtime:
        async for page in matching(runtime.store, RejectionQuery(state=state, limit=PAGE)):
            for each in page:
                item = parse_json(each.payload)
                sound = (each.code, each.path, each.times) == ("decimal_invalid", "price", 1)
                if not sound or not item["price"].startswith("n/a ") or each.raw_id is None:
                    raise SystemExit(f"not as it has to be: {each}")
            count += len(page)
    return count


async def compare(clean: str, mended: str, path: Path) -> int:
    """How many records are the same in both: content, hash, place in the payloads, and no version."""
    async with opened(clean, path, "close") as one, opened(mended, path, "close") as other:
        left, right, same = _records(one.store), _records(other.store), 0
        wanted = {row[0]: row async for row in left}
        async for row in right:
            if wanted.pop(row[0], None) != row:
                raise SystemExit(f"another record than in the clean load: {row}")
            same += 1
    if wanted:
        raise SystemExit(f"{len(wanted)} records are missing, such as {next(iter(wanted.values()))}")
    return same


def opened(url: str, path: Path, value: str) -> AbstractAsyncContextManager[Runtime]:
    """A database with the source that reads this column."""
    document = {"database": {"url": url}, "sources": sources(path, value)}
    settings = settings_of(document, Origin("benchmark"), path.parent, overridable=False)
    return open_runtime(settings, names=["prices"])


async def _records(store: Store) -> AsyncIterator[tuple[Any, ...]]:
    after: int | None = None
    while True:
        async with store.begin(write=False) as work:
            page = await work.records.page(RecordQuery(), after=after, limit=PAGE)
        for row in page:
            yield row.record.key, row.content_hash, row.record.value, row.raw_id, row.raw_index, row.gone_at
        if len(page) < PAGE:
            return
        after = page[-1].record_id


def check(what: str, found: int, expected: int) -> None:
    """Say a count, and end where it is another one."""
    print(f"{what:>40}: {found:>12,}")
    if found != expected:
        raise SystemExit(f"expected {expected:,}")


async def main(clean_url: str, poisoned_url: str, rows: int, every: int) -> None:
    """Load twice, replay, compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.csv"
        broken = write_file(path, rows, every)
        clean, clean_took = await load(path, "close", clean_url)
        poisoned, took = await load(path, "price", poisoned_url)
        check("clean: inserted", clean.counters.inserted, rows)
        check("poisoned: inserted", poisoned.counters.inserted, rows - broken)
        check("poisoned: rejected", poisoned.counters.rejected, broken)
        check("open, with reason, row and place", await rejections_of(poisoned_url, path, "open"), broken)
        mended, replay_took = await replay(path, "close", poisoned_url)
        check("replay: inserted", mended.counters.inserted, broken)
        check("replay: unchanged", mended.counters.unchanged, rows - broken)
        check("still open", await rejections_of(poisoned_url, path, "open"), 0)
        check("records equal to those of the clean load", await compare(clean_url, poisoned_url, path), rows)
    print(f"   clean: {clean_took.rate(rows)}")
    print(
        f"poisoned: {took.rate(rows)}: {clean_took.wall / took.wall:.0%} and {clean_took.cpu / took.cpu:.0%} of clean"
    )
    print(f"  replay: {replay_took.rate(rows)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clean")
    parser.add_argument("poisoned")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=10, help="one row in so many is broken")
    given = parser.parse_args()
    asyncio.run(main(given.clean, given.poisoned, given.rows, given.every))
