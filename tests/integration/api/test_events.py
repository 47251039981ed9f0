"""Server-sent events over real connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from live import Live
from shop import csv_source, ran, write_prices

from kasparro_app.api.routes import events as route
from kasparro_app.feed import KEPT
from kasparro_core.model import Bound, Event, EventType, Prunable

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def document() -> dict[str, Any]:
    """Two sources."""
    return {"sources": {"prices": csv_source(), "second": csv_source()}}


@dataclass
class Message:
    """What a blank line ends: fields by name, and comments."""

    fields: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    @property
    def data(self) -> Any:
        """The data line as JSON."""
        return json.loads(self.fields["data"])


class Stream:
    """Reads messages as a browser does."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def message(self) -> Message | None:
        """The next message; None at the end of the stream. Fails after 20 seconds."""
        found = Message()
        async with asyncio.timeout(20):
            while line := (await self.answer.content.readline()).decode():
                line = line.rstrip("\n")
                if not line and (found.fields or found.comments):
                    return found
                name, _, value = line.partition(": ")
                if name:
                    found.fields[name] = value
                else:
                    found.comments.append(value)
        return None

    async def events(self, count: int) -> list[Message]:
        """The next messages that carry an event."""
        found: list[Message] = []
        while len(found) < count:
            message = await self.message()
            assert message is not None, "the stream ended"
            if "event" in message.fields:
                found.append(message)
        return found


@asynccontextmanager
async def listening(live: Live, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    """An open stream, past its greeting (a reset is left to be read)."""
    async with live.session.get(f"{live.url}/events{query}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield Stream(answer)


async def append(live: Live, count: int, source: str = "prices") -> list[int]:
    """Commit events one by one; returns all ids there are."""
    for number in range(count):
        async with live.store.begin() as work:
            event = Event(EventType.BATCH_COMMITTED, source, 1, AT + timedelta(seconds=number), {"n": number})
            await work.events.append(event)
            await work.commit()
    async with live.store.begin(write=False) as work:
        return [event.event_id for event in await work.events.after(0, limit=10_000)]


async def test_a_run_is_told_as_it_happens(live: Live, tmp_path: Path) -> None:
    """A listener without an id is told what happens from now on: start, batch and end of a run, with ids that grow."""
    await append(live, 3)
    write_prices(tmp_path, "a,1")
    async with listening(live) as stream:
        greeting = await stream.message()
        assert greeting is not None
        assert greeting.fields["retry"].isdigit()
        run = await ran(live, "prices")
        told = await stream.events(3)
    assert [each.fields["event"] for each in told] == ["run.started", "batch.committed", "run.finished"]
    assert [int(each.fields["id"]) for each in told] == [4, 5, 6]
    assert {each.data["run_id"] for each in told} == {run.run_id}
    assert told[-1].data["data"]["status"] == "succeeded"
    assert told[-1].data["event_id"] == 6
    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_listener_goes_on_where_it_was(live: Live, by: str) -> None:
    """Behind the id it names a listener misses none and sees none twice, by header or by parameter."""
    ids = await append(live, 7)
    seen = ids[2]
    headers = {"Last-Event-ID": str(seen)} if by == "header" else {}
    query = f"?last_event_id={seen}" if by == "query" else "?last_event_id=1"
    async with listening(live, query, **headers) as stream:
        told = await stream.events(4)
    assert [int(each.fields["id"]) for each in told] == ids[3:]


async def test_events_of_other_processes_come_too(live: Live, tmp_path: Path) -> None:
    """What another store on the same database commits is told: the outbox is what counts, not this process."""
    from kasparro_adapters.sql import SqlStore

    other = SqlStore(live.service.settings.database_url)
    async with listening(live) as stream:
        await stream.message()
        async with other.begin() as work:
            await work.events.append(Event(EventType.RUN_STARTED, "prices", 7, AT))
            await work.commit()
        (told,) = await stream.events(1)
    await other.close()
    assert told.data["run_id"] == 7


async def test_a_source_filter(live: Live) -> None:
    """Only events of that source are told, and the ids of the others still move the place to go on from."""
    async with listening(live, "?source=second&last_event_id=0") as stream:
        await append(live, 3, "prices")
        await append(live, 1, "second")
        (told,) = await stream.events(1)
    assert (told.data["source"], told.fields["id"]) == ("second", "4")


async def test_a_place_that_is_not_kept_is_told(live: Live) -> None:
    """Behind pruned events, or behind an id that never was, the first message is a reset with the id to go on from."""
    ids = await append(live, 5)
    async with live.store.begin() as work:
        await work.retention.prune(Prunable.EVENTS, Bound(before=AT + timedelta(seconds=3)))
        await work.commit()
    async with listening(live, "?last_event_id=1") as stream:
        (reset, told) = await stream.events(2)
    assert (reset.fields["event"], reset.data) == ("reset", {"after": 1, "upto": ids[2]})
    assert told.fields["id"] == str(ids[3])
    async with listening(live, "?last_event_id=1000") as stream:
        (reset,) = await stream.events(1)
    assert (reset.fields["event"], reset.fields["id"]) == ("reset", str(ids[-1]))


async def test_many_events_come_in_order_to_many(live: Live) -> None:
    """Twenty listeners, some from the beginning, are all told more events than are held in memory, in order."""
    async with live.store.begin() as work:
        for number in range(KEPT + 300):
            await work.events.append(Event(EventType.BATCH_COMMITTED, "prices", 1, AT, {"n": number}))
        await work.commit()

    async def listen(after: int) -> list[int]:
        async with listening(live, f"?last_event_id={after}") as stream:
            return [int(each.fields["id"]) for each in await stream.events(KEPT + 310 - after)]

    listeners = [asyncio.create_task(listen(100 * number)) for number in range(10)]
    while live.service.feed.listeners < 10:
        await asyncio.sleep(0.01)
    await append(live, 10)
    for number, listener in enumerate(listeners):
        assert await listener == list(range(100 * number + 1, KEPT + 311))


async def test_silence_is_broken_by_comments(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing happens a comment comes, so that proxies keep the connection."""
    monkeypatch.setattr(route, "HEARTBEAT", 0.05)
    async with listening(live) as stream:
        await stream.message()
        for _ in range(3):
            beat = await stream.message()
            assert beat is not None
            assert beat.comments
            assert not beat.fields


async def test_streams_end_when_the_process_is_stopped(live: Live) -> None:
    """All streams end by themselves as soon as the process is told to stop, long before their next comment."""
    async with listening(live) as one, listening(live) as other:
        await one.message()
        await other.message()
        begun = time.monotonic()
        live.service.stopping.set()
        assert await one.message() is None
        assert await other.message() is None
        assert time.monotonic() - begun < route.HEARTBEAT


async def test_nobody_looks_while_nobody_listens(live: Live) -> None:
    """A listener that goes away leaves nothing behind: no listener is counted, and the look-out ends."""
    async with listening(live) as stream:
        await stream.message()
        assert live.service.feed.listeners == 1
    deadline = time.monotonic() + 10
    while live.service.feed.listeners or not live.service.feed.is_idle:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("value", ["-1", "abc", "1.5", ""])
async def test_a_bad_place_is_422(live: Live, value: str) -> None:
    """An id that is none is refused before a stream begins, and named."""
    reply = await live.get(f"/events?last_event_id={value}")
    assert (reply.status, reply.json["errors"][0]["parameter"]) == (422, "last_event_id")
    reply = await live.get("/events", headers={"Last-Event-ID": "abc"})
    assert (reply.status, reply.json["errors"][0]["parameter"]) == (422, "Last-Event-ID")
