"""GET /data as ndjson and csv: whole results, page by page, and what becomes of them when something breaks."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import aiohttp
import pytest
from live import Live
from rows import AT, EXACT, put, quotes

from kasparro_app.api.routes.records_query import DataQuery, reading_of
from kasparro_app.api.streaming import csv_form, whole
from kasparro_app.export import PAGE
from kasparro_app.service import STREAMS_AT_ONCE
from kasparro_app.views import RECORD_FIELDS
from kasparro_core.errors import TransientStorageError
from kasparro_core.model import EVERY_RECORD, Record
from kasparro_core.ports import Store, UnitOfWork

ROWS = 2 * PAGE + PAGE // 2


class Watched:
    """A store whose transactions are counted from 1; `before` is awaited before each of them. `open`: how many of them
    have not ended."""

    def __init__(self, store: Store, before: Callable[[int], Awaitable[None]]) -> None:
        self._store = store
        self._before = before
        self.begun = 0
        self.open = 0

    def begin(self, *, write: bool = True) -> AbstractAsyncContextManager[UnitOfWork]:
        """As the store does."""
        return self._begin(write)

    @asynccontextmanager
    async def _begin(self, write: bool) -> AsyncIterator[UnitOfWork]:
        self.begun += 1
        await self._before(self.begun)
        self.open += 1
        try:
            async with self._store.begin(write=write) as work:
                yield work
        finally:
            self.open -= 1


def watch(live: Live, before: Callable[[int], Awaitable[None]]) -> Watched:
    """Put a watched store in the place of the service's own."""
    watched = Watched(live.store, before)
    live.service.store = cast("Store", watched)
    return watched


def table(body: bytes) -> list[list[str]]:
    """The rows of a CSV text."""
    return list(csv.reader(io.StringIO(body.decode(), newline="")))


@pytest.mark.parametrize("sort", ["", "&sort=-value"])
async def test_lines_are_the_whole_result(live: Live, sort: str) -> None:
    """Without `limit` every row comes, once and in order, over several pages; each page is a transaction of its own."""
    await put(live.store, quotes(ROWS))
    ordered = [row["key"] for row in await pages(live, f"fields=key{sort}")]

    async def go_on(_: int) -> None: ...

    watched = watch(live, go_on)
    reply = await live.get(f"/data?format=ndjson&fields=key{sort}")
    assert [json.loads(line)["key"] for line in reply.body.splitlines()] == ordered
    assert len(set(ordered)) == ROWS
    assert watched.begun == 3
    reply = await live.get(f"/data?format=csv&fields=key{sort}")
    assert table(reply.body) == [["key"], *([key] for key in ordered)]


async def pages(live: Live, query: str) -> list[dict[str, Any]]:
    """All rows by JSON pages."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        body = (await live.get(f"/data?limit=1000&{query}{cursor}")).json
        rows += body["data"]
        following = body["pagination"]["next_cursor"]
        if following is None:
            return rows
        cursor = f"&cursor={following}"
    raise AssertionError


async def test_a_limit_holds_for_lines_too(live: Live) -> None:
    """With `limit` there is one page and a Link to the next, as with JSON."""
    await put(live.store, quotes(5))
    reply = await live.get("/data?format=ndjson&limit=3&fields=key&count=exact")
    assert [json.loads(line)["key"] for line in reply.body.splitlines()] == ["4", "3", "2"]
    assert reply.headers["X-Total-Count"] == "5"
    link = reply.headers["Link"]
    rest = await live.get(link[1 : link.index(">")])
    assert [json.loads(line)["key"] for line in rest.body.splitlines()] == ["1", "0"]
    assert "Link" not in rest.headers


async def test_lines_begin_where_a_cursor_or_an_offset_says(live: Live) -> None:
    """The rest of a result can be taken as lines."""
    await put(live.store, quotes(ROWS))
    cursor = (await live.get("/data?limit=2")).json["pagination"]["next_cursor"]
    by_cursor = (await live.get(f"/data?format=ndjson&fields=key&cursor={cursor}")).body.splitlines()
    by_offset = (await live.get("/data?format=ndjson&fields=key&offset=2")).body.splitlines()
    assert by_cursor == by_offset
    assert len(by_cursor) == ROWS - 2


async def test_the_feed_as_lines(live: Live) -> None:
    """All changes in order, up to the X-Next-Seq that the next request begins with."""
    await put(live.store, quotes(ROWS))
    reply = await live.get("/data?format=ndjson&after_seq=0&fields=change_seq")
    seqs = [json.loads(line)["change_seq"] for line in reply.body.splitlines()]
    assert seqs == sorted(seqs)
    assert len(seqs) == ROWS
    assert int(reply.headers["X-Next-Seq"]) == seqs[-1]
    nothing = await live.get(f"/data?format=csv&after_seq={seqs[-1]}&fields=key")
    assert (nothing.body, nothing.headers["X-Next-Seq"]) == (b"key\r\n", str(seqs[-1]))


async def test_a_feed_ends_though_it_is_written_to(live: Live) -> None:
    """What changes while the stream runs is left to the next request, which shows it."""
    await put(live.store, quotes(ROWS))
    store = live.store

    async def change(begun: int) -> None:
        if begun in {2, 3}:
            await put(store, quotes(PAGE, title=f"new {begun}"), at=AT.replace(hour=10 + begun))

    watch(live, change)
    reply = await live.get("/data?format=ndjson&after_seq=0&fields=key,change_seq")
    rows = [json.loads(line) for line in reply.body.splitlines()]
    bound = int(reply.headers["X-Next-Seq"])
    assert max(row["change_seq"] for row in rows) == bound
    rest = await live.get(f"/data?format=ndjson&after_seq={bound}&fields=key,change_seq")
    seen = {row["key"] for row in rows} | {json.loads(line)["key"] for line in rest.body.splitlines()}
    assert seen == {str(n) for n in range(ROWS)}


async def test_csv_is_exact_and_harmless(live: Live) -> None:
    """Numbers keep their digits, line breaks and quotes their meaning, and no cell is a formula."""
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a "b", c\r\nd']
    await put(live.store, [Record("s", t, "item", title=t, value=-EXACT, attributes={"n": EXACT}) for t in texts])
    reply = await live.get("/data?format=csv")
    assert reply.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    assert reply.headers["Content-Disposition"] == 'attachment; filename="records.csv"'
    head, *rows = table(reply.body)
    assert tuple(head) == RECORD_FIELDS
    cells = [dict(zip(head, row, strict=True)) for row in reversed(rows)]
    assert [row["title"] for row in cells] == [f"'{text}" for text in texts[:6]] + texts[6:]
    assert {Decimal(row["value"]) for row in cells} == {-EXACT}
    assert {row["attributes"] for row in cells} == {f'{{"n":{EXACT}}}'}


@pytest.mark.parametrize(
    ("query", "accept", "media"),
    [
        ("", None, "application/json"),
        ("", "text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("", "text/csv", "text/csv"),
        ("format=ndjson", "text/csv", "application/x-ndjson"),
        ("format=json", "text/html", "application/json"),
    ],
)
async def test_accept_and_format(live: Live, query: str, accept: str | None, media: str) -> None:
    """`Accept` chooses with its qualities; `format` goes before it."""
    reply = await live.get(f"/data?{query}", headers={"Accept": accept} if accept else {})
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (200, media)
    assert "Accept" in reply.headers["Vary"]


async def test_nothing_acceptable(live: Live) -> None:
    """406 that names what can be had."""
    reply = await live.get("/data", headers={"Accept": "image/png"})
    assert reply.status == 406
    assert "application/x-ndjson" in reply.json["detail"]


async def test_head_begins_no_stream(live: Live) -> None:
    """HEAD has the headers of GET and no body."""
    await put(live.store, quotes(3))
    reply = await live.ask("HEAD", "/data?format=csv")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["ETag"] == (await live.get("/data?format=csv")).headers["ETag"]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_half_an_answer_never_looks_whole(live: Live, form: str) -> None:
    """When the database fails on the way the connection is cut: the client's library reports an error."""
    await put(live.store, quotes(ROWS))

    async def fail_late(begun: int) -> None:
        if begun == 3:
            raise TransientStorageError("the connection was lost")

    watch(live, fail_late)
    with pytest.raises(aiohttp.ClientPayloadError):
        await live.get(f"/data?format={form}")


async def test_a_failure_before_the_first_byte_is_a_problem(live: Live) -> None:
    """When the database fails at once the answer is 503 with Retry-After."""

    async def fail(_: int) -> None:
        raise TransientStorageError("the connection was lost")

    watch(live, fail)
    reply = await live.get("/data?format=csv")
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) > 0


async def test_nothing_is_read_for_a_caller_who_has_gone(live: Live) -> None:
    """A caller who hangs up ends the reading, in the middle of a page."""
    await put(live.store, quotes(ROWS))
    reading, stopped = asyncio.Event(), asyncio.Event()

    async def hang(begun: int) -> None:
        if begun == 2:
            reading.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    watched = watch(live, hang)
    async with asyncio.timeout(10):
        answer = await live.session.get(f"{live.url}/data?format=ndjson")
        await reading.wait()
        answer.close()
        await stopped.wait()
    assert watched.begun == 2


async def test_many_whole_results_leave_room_for_others(live: Live) -> None:
    """However many are under way, few read at one time, so that connections are left for other requests; these are
    answered even while no page comes back, and all results come to their end."""
    await put(live.store, quotes(ROWS))
    async with live.store.begin(write=False) as work:
        first = await work.records.select(EVERY_RECORD, limit=PAGE)
    hold = asyncio.Event()

    async def hold_back(begun: int) -> None:
        if begun <= STREAMS_AT_ONCE:
            await hold.wait()

    async def lines() -> int:
        reading, form = reading_of(DataQuery()), csv_form(["key"])
        return sum([part.count(b"\n") async for part in whole(live.service, reading, form, first, until=0)])

    watched = watch(live, hold_back)
    results = [asyncio.create_task(lines()) for _ in range(20)]
    async with asyncio.timeout(30):
        while watched.begun < STREAMS_AT_ONCE:
            await asyncio.sleep(0.001)
        assert (await live.get("/data?limit=1")).status == 200
    assert watched.begun == STREAMS_AT_ONCE + 1
    hold.set()
    assert set(await asyncio.gather(*results)) == {ROWS + 1}


async def test_a_slow_caller_is_waited_for_without_a_transaction(live: Live) -> None:
    """While a caller does not read, at most one page is read ahead (each fills all buffers on the way) and no
    transaction is open; rows can be written and others are answered. Then he gets his whole result."""
    await put(live.store, quotes(ROWS, attributes={"text": "x" * 60_000}))

    async def go_on(_: int) -> None: ...

    watched = watch(live, go_on)
    async with live.session.get(f"{live.url}/data?format=ndjson", headers={"Accept-Encoding": "identity"}) as answer:
        async with asyncio.timeout(30):
            while (watched.begun, watched.open) != (2, 0):  # one page is on its way, one waits for it
                await asyncio.sleep(0.001)
        await put(live.store, quotes(3, "other"))
        assert (await live.get("/data?source=other")).json["pagination"]["returned"] == 3
        assert (watched.begun, watched.open) == (4, 0)
        lines = (await answer.read()).splitlines()
    assert len(lines) == ROWS
    assert watched.begun == 5
