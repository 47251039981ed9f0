"""GET /data while others write: what was there comes once, and no answer is taken for a later one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from live import Live, serving_api
from rows import AT, put, quotes

from kasparro_core.model import Bound, Prunable
from kasparro_core.ports import Store

ROWS = int(os.environ.get("KASPARRO_TEST_ROWS", "3000"))
LIMIT = min(1000, ROWS // 15)
BATCH = 10_000
CHANGED = 100


async def fill(store: Store) -> None:
    """ROWS quotes in commits of at most BATCH."""
    rows = quotes(ROWS)
    for start in range(0, ROWS, BATCH):
        await put(store, rows[start : start + BATCH], history=False)


class Writer:
    """Commits changes of rows all over the table, and new rows, until its block ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits = 0

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Writer]:
        writing = asyncio.create_task(self._write())
        try:
            yield self
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def next_commit(self) -> None:
        """Wait until there is one more."""
        seen = self.commits
        async with asyncio.timeout(30):
            while self.commits == seen:
                await asyncio.sleep(0.001)

    async def _write(self) -> None:
        rows = quotes(ROWS)
        while True:
            turn = self.commits
            changed = [
                row._replace(title=f"turn {turn}", value=None if turn % 2 else row.value)
                for row in rows[turn % 7 :: max(1, ROWS // CHANGED)]
            ]
            added = [row._replace(key=f"new {turn} {row.key}") for row in rows[:10]]
            await put(self._store, changed + added, at=AT + timedelta(hours=1 + turn), history=False)
            self.commits += 1


async def test_each_row_that_was_there_comes_once(live: Live) -> None:
    """Page by page in the default order, with commits between any two of the first pages: each row that existed at the
    start comes exactly once, in order, whatever is inserted and updated meanwhile."""
    await fill(live.store)
    seen: list[dict[str, Any]] = []
    path: str | None = f"/data?limit={LIMIT}&fields=record_id,key"
    async with Writer(live.store).at_work() as writer:
        while path is not None:
            reply = await live.get(path)
            assert reply.status == 200, reply.body
            seen += reply.json["data"]
            link = reply.headers.get("Link")
            path = link[1 : link.index(">")] if link else None
            if len(seen) <= 10 * LIMIT:
                await writer.next_commit()
    ids = [row["record_id"] for row in seen]
    assert ids == sorted(set(ids), reverse=True)
    assert {row["key"] for row in seen} >= {str(n) for n in range(ROWS)}
    assert writer.commits >= 10


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_each_row_comes_once_in_a_whole_result(live: Live, form: str) -> None:
    """The same for a whole result that is read while it is sent."""
    await fill(live.store)
    async with Writer(live.store).at_work() as writer:
        await writer.next_commit()
        lines = (await live.get(f"/data?format={form}&fields=key")).body.decode().splitlines()
    keys = lines[1:] if form == "csv" else [json.loads(line)["key"] for line in lines]
    assert len(set(keys)) == len(keys)
    assert set(keys) >= {str(n) for n in range(ROWS)}


async def test_a_follower_of_the_feed_has_everything_in_the_end(live: Live) -> None:
    """A copy that is kept by `after_seq` while others write is equal to the table once they have stopped."""
    await fill(live.store)
    copy: dict[int, dict[str, Any]] = {}
    seq = 0

    async def follow() -> int:
        reply = await live.get(f"/data?after_seq={seq}&limit=1000&fields=record_id,change_seq,title,value")
        changes = [row["change_seq"] for row in reply.json["data"]]
        assert changes == sorted(set(changes))
        copy.update({row["record_id"]: row for row in reply.json["data"]})
        return int(reply.json["pagination"]["next_seq"])

    async with Writer(live.store).at_work() as writer:
        for _ in range(10):
            seq = await follow()
            await writer.next_commit()
    while (behind := await follow()) != seq:
        seq = behind
    everything = (await live.get("/data?format=ndjson&fields=record_id,change_seq,title,value")).body.splitlines()
    assert copy == {row["record_id"]: row for row in map(json.loads, everything)}


@pytest.mark.parametrize("query", ["", "source=prices", "format=csv", "sort=-value", "after_seq=0", "page=1"])
async def test_no_tag_outlives_a_change(live: Live, query: str) -> None:
    """An insert, an update, and the pruning of records each end what 304 was given for; then it holds again."""
    await put(live.store, quotes(3))
    path = f"/data?{query}"

    async def insert() -> None:
        await put(live.store, quotes(4)[3:])

    async def update() -> None:
        await put(live.store, quotes(1, title="new"), at=AT.replace(hour=12))

    async def prune() -> None:
        async with live.store.begin() as work:
            assert (await work.retention.prune(Prunable.RECORDS, Bound(before=AT.replace(hour=11)))).rows == 3
            await work.commit()

    for change in (insert, update, prune):
        tag = {"If-None-Match": (await live.get(path)).headers["ETag"]}
        assert (await live.get(path, headers=tag)).status == 304
        await change()
        assert (await live.get(path, headers=tag)).status == 200


@pytest.mark.parametrize("path", ["/data", "/data/1", "/data/1/versions"])
async def test_a_tag_is_of_one_database(live: Live, tmp_path: Path, path: str) -> None:
    """Another database in the place of this one counts ids and changes from the beginning: what was had from the old
    one is not taken for the same."""
    async with serving_api(f"sqlite:///{(tmp_path / 'other.db').as_posix()}", tmp_path, keyless=True) as other:
        await other.store.migrate()
        for served in (live, other):
            for hour in (11, 12):
                rows = quotes(1, title=f"{hour} o'clock at {served.url}")
                await put(served.store, rows, at=AT.replace(hour=hour))
        answer = await live.get(path)
        assert answer.status == 200
        assert (await other.get(path, headers={"If-None-Match": answer.headers["ETag"]})).status == 200


async def test_a_tag_holds_for_one_form_of_one_question(live: Live) -> None:
    """No two answers that differ share a tag: each parameter that changes the answer is in it."""
    await put(live.store, quotes(3))
    questions = ["", "limit=2", "fields=key", "fields=value,key", "fields=key,value", "decimals=string", "gone=false"]
    questions += ["count=exact", "count=estimated", "format=csv", "format=ndjson", "format=ndjson&limit=50", "offset=1"]
    questions += ["after_seq=0", "after_seq=1", "sort=value", "sort=-value", "min_value=0", "max_value=9", "q=coin"]
    tags = [(await live.get(f"/data?{query}")).headers["ETag"] for query in questions]
    assert len(set(tags)) == len(questions)
