"""A source that did not change costs nearly nothing: no bytes, no rows, no payload, by ETags or by its bytes alone.

KASPARRO_TEST_POLLS is how often an endpoint is polled that does not change (20).
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from children import Folder
from conditional import Listing, listed
from ledger import query
from scripted import Told

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.http import AiohttpFetcher, HttpSource, HttpSourceConfig, JsonDecoder
from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_app.jobs import job_of
from kasparro_core.model import Run
from kasparro_core.services.run import Runner

POLLS = int(os.environ.get("KASPARRO_TEST_POLLS", "20"))
SIZE = 250
RANDOM = Random(5)
ROWS = [
    {"id": f"coin-{n}", "name": f"Coin {n}", "price": n * 1.25, "note": str([RANDOM.random() for _ in range(30)])}
    for n in range(4 * SIZE - 1)
]
SOURCE = {
    "type": "http",
    "kind": "quote",
    "mapping": {"key": "id", "external_id": "id", "title": "name", "value": "price", "attributes": {"note": "note"}},
    "paginate": {"type": "page", "size": SIZE},
    "allow_private_hosts": True,
}
CONFIG = """
[sources.coins]
type = "http"
url = "{url}"
kind = "quote"
allow_private_hosts = true
paginate = {{ type = "page", size = 250 }}
[sources.coins.mapping]
key = "id"
external_id = "id"
title = "name"
value = "price"
"""
WRITTEN = {
    table: f"SELECT count(*), {last} FROM {table}"
    for table, last in {
        "records": "coalesce(max(change_seq), 0)",
        "record_versions": "0",
        "raw_batches": "coalesce(sum(length(payload)), 0)",
        "rejections": "0",
    }.items()
}


@pytest.fixture(params=[True, False], ids=["etags", "no-validators"])
def listing(request: pytest.FixtureRequest) -> Iterator[Listing]:
    """Four pages, with ETags or without anything to ask with."""
    with listed(Listing(list(ROWS), SIZE, tags=request.param)) as opened:
        yield opened


class Polled:
    """One source that is run again and again by one process."""

    def __init__(self, url: str, fetcher: AiohttpFetcher) -> None:
        self.store = SqlStore(url)
        self.fetcher = fetcher
        handle = MemoryHandle(MemoryOwners())
        self.runner = Runner(self.store, handle, SystemClock(), {"json": JsonDecoder()}, Told())

    async def run(self, url: str, *, full: bool = False, **config: Any) -> Run:
        """One run."""
        checked = HttpSourceConfig.model_validate({**SOURCE, "url": url, **config})
        source = HttpSource("coins", checked, self.fetcher, SystemClock())
        run = await self.runner.run(job_of(checked, source), full=full)
        assert run is not None
        assert run.error is None, run.error
        return run


@pytest.fixture
async def polled(sqlite_url: str) -> AsyncIterator[Polled]:
    """On SQLite."""
    async with AiohttpFetcher(SystemClock()) as fetcher:
        bench = Polled(sqlite_url, fetcher)
        yield bench
        await bench.store.close()


def written(url: str) -> dict[str, Any]:
    """What a run could write, in figures."""
    return {table: query(url, sql)[0] for table, sql in WRITTEN.items()}


def size_of(url: str) -> int:
    """The database file in bytes, with everything in it."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, page = (connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
    return int(pages) * int(page)


async def test_a_second_run_asks_conditionally_and_writes_nothing(
    polled: Polled, listing: Listing, sqlite_url: str
) -> None:
    """With ETags every request is conditional and answered 304, with no byte of a body; without them all bytes come
    and are known. Either way the run is `unchanged`, and no record, version, payload or rejection is written."""
    first = await polled.run(listing.url)
    listing.take()
    before = written(sqlite_url)
    second = await polled.run(listing.url)
    asked = listing.take()
    assert (first.status, first.counters.inserted) == ("succeeded", len(ROWS))
    came = 0 if listing.tags else len(ROWS)
    assert (second.status, second.counters.requests) == ("unchanged", 4)
    assert (second.counters.fetched, second.counters.unchanged) == (came, came)
    assert [each.conditional for each in asked] == [listing.tags] * 4
    assert [each.status for each in asked] == [304 if listing.tags else 200] * 4
    assert (second.counters.bytes_fetched < 0.05 * first.counters.bytes_fetched) == listing.tags
    assert written(sqlite_url) == before


@pytest.mark.parametrize("tags", [True, False], ids=["etags", "no-validators"])
async def test_polling_what_does_not_change_keeps_nothing(polled: Polled, sqlite_url: str, *, tags: bool) -> None:
    """One endpoint of 2,500 rows, as a list of tickers is: not one payload more, and the whole database, with its
    ledger and its events, grows by less than 5 % in a hundred polls."""
    rows = [{**ROWS[n % len(ROWS)], "id": f"ticker-{n}"} for n in range(2500)]
    whole = {"paginate": {"type": "none"}}
    with listed(Listing(rows, len(rows), tags=tags)) as listing:
        await polled.run(listing.url, **whole)
        raw, size = written(sqlite_url)["raw_batches"], size_of(sqlite_url)
        for _ in range(POLLS):
            assert (await polled.run(listing.url, **whole)).status == "unchanged"
    grown = size_of(sqlite_url) / size - 1
    print(f"\netags {tags}: {POLLS} polls, {size:,} bytes grew by {grown:.2%}")  # noqa: T201 - the figure asked for
    assert written(sqlite_url)["raw_batches"] == raw
    assert grown < 0.05 * POLLS / 100


async def test_what_changed_is_read_and_full_asks_plainly(polled: Polled, listing: Listing, sqlite_url: str) -> None:
    """One row of the third page moves: its page alone is read. `--full` asks for everything, unconditionally, and finds
    it unchanged; after it the pages are known as before."""
    await polled.run(listing.url)
    listing.rows[2 * SIZE + 1] = {**ROWS[2 * SIZE + 1], "price": 7}
    moved = await polled.run(listing.url)
    assert moved.counters.fetched == (SIZE if listing.tags else len(ROWS))
    assert (moved.counters.updated, moved.counters.unchanged) == (1, moved.counters.fetched - 1)
    listing.take()
    full = await polled.run(listing.url, full=True)
    assert (full.status, full.counters.fetched) == ("unchanged", len(ROWS))
    assert not any(each.conditional for each in listing.take())
    again = await polled.run(listing.url)
    assert (again.status, again.counters.fetched) == ("unchanged", 0 if listing.tags else len(ROWS))
    assert all(each.conditional == listing.tags for each in listing.take())


async def test_a_page_with_refused_items_is_looked_at_again(polled: Polled, sqlite_url: str) -> None:
    """The same bytes come again, and one of their items was refused: it is refused again and told so, as long as it
    comes. The pages beside it are known; once it is mended, so is its own."""
    rows = [*ROWS[: 2 * SIZE - 1], {"name": "without a key"}]
    with listed(Listing(rows, SIZE, tags=False)) as listing:
        for times in (1, 2, 3):
            run = await polled.run(listing.url)
            assert (run.counters.fetched, run.counters.rejected) == (2 * SIZE, 1)
            assert query(sqlite_url, "SELECT times, state FROM rejections") == [(times, "open")]
        assert (run.counters.inserted, run.counters.unchanged) == (0, 2 * SIZE - 1)
        listing.rows[-1] = {"id": "mended", "price": 1}
        assert (await polled.run(listing.url)).counters.inserted == 1
        assert query(sqlite_url, "SELECT sum(refused) FROM http_validators") == [(0,)]
        assert (await polled.run(listing.url)).status == "unchanged"


async def test_freshness_holds_timed_runs_alone(polled: Polled, listing: Listing, sqlite_url: str) -> None:
    """With `when_fresh = "wait"` the partition says until when a timed run may wait; what the answers said is kept with
    the position; a run by hand asks at once, and conditionally."""
    listing.headers = {"Cache-Control": "public, max-age=600"}
    run = await polled.run(listing.url, when_fresh="wait")
    ((next_at, cached),) = query(
        sqlite_url,
        "SELECT p.next_at, v.cache_control FROM partitions p JOIN http_validators v ON v.source = p.source LIMIT 1",
    )
    assert cached == "public, max-age=600"
    assert run.finished_at is not None
    assert next_at > run.finished_at.isoformat()
    listing.take()
    assert (await polled.run(listing.url, when_fresh="wait")).status == "unchanged"
    assert len(listing.take()) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's; Windows ends processes otherwise")
def test_a_crash_between_answer_and_commit_keeps_no_validator(tmp_path: Path, sqlite_url: str) -> None:
    """Killed when a changed page has been sent and cannot be committed yet: its new ETag is not remembered, so that the
    next run gets the page again and has what it says."""
    known = "SELECT request_hash, etag, body_hash FROM http_validators ORDER BY 1"
    with listed(Listing(list(ROWS), SIZE)) as listing:
        folder = Folder(tmp_path, sqlite_url, CONFIG.format(url=listing.url))
        folder.run()
        before = query(sqlite_url, known)
        listing.rows[1] = {**ROWS[1], "price": 4711}
        _kill_before_the_commit(folder, listing, sqlite_url)
        assert query(sqlite_url, known) == before
        listing.take()
        outcome = folder.run()["coins"]
        assert [each.status for each in listing.take()] == [200, 304, 304, 304]
    assert (outcome["status"], outcome["updated"]) == ("succeeded", 1)
    assert query(sqlite_url, "SELECT CAST(value AS TEXT) FROM records WHERE key = 'coin-1'") == [("4711",)]


def _kill_before_the_commit(folder: Folder, listing: Listing, url: str) -> None:
    """A run that is killed when its first page has been sent. From before that on another writer holds the database."""
    answered = threading.Event()
    with closing(
        sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    ) as held:
        listing.hook = lambda _: held.execute("BEGIN IMMEDIATE") and None
        listing.after = lambda _: answered.set()
        folder.killed_when(answered.is_set)
    listing.hook = listing.after = lambda _: None
