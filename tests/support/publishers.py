"""Publishers of feeds on a scripted web, and a service that follows them on a virtual clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from processes import Every, World

from kasparro_adapters.feeds import FeedDecoder, FeedSource, FeedSourceConfig
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError
from kasparro_core.model import Event, FetchFacts, PartitionState, Run, Slot, Trigger
from kasparro_core.ports import FetchRequest, FetchResponse
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner
from kasparro_core.services.timetable import Timetable


def rss(*names: object, channel: str = "") -> bytes:
    """An RSS feed with these items."""
    items = "".join(f"<item><guid isPermaLink='false'>{name}</guid><title>{name}</title></item>" for name in names)
    return f'<rss version="2.0"><channel><title>f</title>{channel}{items}</channel></rss>'.encode()


@dataclass
class Place:
    """What an address answers: a body with headers, a permanent redirect, or an error."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    moved: str | None = None
    error: SourceError | None = None


@dataclass
class Publishers:
    """A Fetcher over places by address. Remembers what it was asked, and when."""

    world: World
    places: dict[str, Place] = field(default_factory=dict)
    asked: list[FetchRequest] = field(default_factory=list)
    times: list[tuple[str, float]] = field(default_factory=list)

    async def fetch(self, request: FetchRequest, /, *, sink: BinaryIO | None = None) -> FetchResponse:
        self.asked.append(request)
        self.times.append((request.url, self.world.clock.monotonic()))
        url, hops = request.url, 0
        while (place := self.places[url]).moved is not None:
            url, hops = place.moved, hops + 1
        if place.error is not None:
            raise _again(place.error, FetchFacts(self.world.clock.now(), requests=1 + hops))
        etag = place.headers.get("etag")
        known = bool(etag and request.validator and request.validator.etag == etag)
        facts = FetchFacts(self.world.clock.now(), url, 304 if known else 200, len(place.body), 1 + hops)
        body = b"" if known else place.body
        return FetchResponse(facts.status or 0, url, place.headers, body, facts, moved_to=url if hops else None)

    def since(self, count: int) -> list[str]:
        """The addresses asked for behind the first `count` requests."""
        return [request.url for request in self.asked[count:]]


def _again(error: SourceError, facts: FetchFacts) -> SourceError:
    """The same error anew: what catches it writes into it."""
    wait = {"retry_after": error.retry_after} if isinstance(error, TransientSourceError) else {}
    new = type(error)(error.message, code=error.code, hint=error.hint, **wait)
    new.fetch = facts
    return new


GONE = PermanentSourceError("it answered 410.", code="http_410")


class Follower:
    """A service that follows feeds, on a store in memory and a virtual clock."""

    def __init__(self, interval: float = 900.0) -> None:
        self.world = World()
        self.web = Publishers(self.world)
        self.interval = interval
        self.process = self.world.process()
        self.told = self.process.told
        runner = Runner(self.world.store, self.process.handle, self.world.clock, {"feed": FeedDecoder()}, self.told)
        self.process.runner = runner
        self.process.desk._runner = runner

    def job(self, **config: Any) -> SourceJob:
        """The job of a feed source of this configuration."""
        checked = FeedSourceConfig(**config)
        source = FeedSource("news", checked, Path(), self.web, self.world.clock)
        mapping = checked.record_mapping("news")
        return SourceJob(source, mapping, history=True, parallel_partitions=8, patience=self.interval / 8)

    async def run(self, job: SourceJob, trigger: Trigger = Trigger.CLI, *, full: bool = False) -> Run:
        """One run."""
        run = await self.process.runner.run(job, trigger=trigger, full=full)
        assert run is not None
        return run

    def timetable(self, job: SourceJob) -> Timetable:
        return self.process.timetable({"news": Every(self.interval)}, job)

    async def keep(self, timetable: Timetable, seconds: float, *, step: float = 5.0) -> None:
        """Let the service run for so long."""
        end = self.world.clock.monotonic() + seconds
        while self.world.clock.monotonic() < end:
            await timetable.tick()
            await self.process.idle()
            self.world.clock.skip(step)

    async def slots(self) -> list[Slot]:
        """Oldest first."""
        async with self.world.store.begin(write=False) as work:
            return list(reversed(await work.schedules.slots("news", limit=5000)))

    async def reasons(self) -> Counter[str | None]:
        """How often slots were skipped, by reason; None are those that ran."""
        return Counter(slot.reason for slot in await self.slots())

    async def states(self) -> dict[str, PartitionState]:
        async with self.world.store.begin(write=False) as work:
            return {state.partition: state for state in await work.partitions.list("news")}

    async def events(self, kind: str) -> list[Event]:
        async with self.world.store.begin(write=False) as work:
            return [event for event in await work.events.after(0, limit=5000) if event.type == kind]

    async def titles(self) -> set[str]:
        from kasparro_core.model import RecordQuery

        async with self.world.store.begin(write=False) as work:
            return {stored.record.title or "" for stored in await work.records.page(RecordQuery(source="news"))}


def hours(number: float) -> float:
    """In seconds."""
    return timedelta(hours=number).total_seconds()
