"""A source of past windows that does what a test says, and processes that backfill it on a shared store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from scripted import EPOCH, LinesDecoder, Page, SteppingClock, Told, batch_of
from simulated_loop import SimulatedLoop
from simulated_process import WorldClock

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import KasparroError
from kasparro_core.model import Batch, Checkpoint, Cursor, RecordQuery, Run, RunQuery, StoredRecord
from kasparro_core.model.window import Window
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.policy.windows import Step, cut
from kasparro_core.ports import Clock, ReadContext
from kasparro_core.services.backfill import Backfiller
from kasparro_core.services.backfill_round import Backfilled
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

T = TypeVar("T")


def days(count: int) -> list[Window]:
    """So many days from EPOCH on."""
    return cut(EPOCH, EPOCH + timedelta(days=count), Step.parse("1d"))


def day_pages(window: Window) -> list[Page]:
    """Two pages of a row each, keyed by the day."""
    day = window.start.date().isoformat()
    return [[{"id": f"{day}/{page}", "price": "1", "at": window.start.isoformat()}] for page in (1, 2)]


@dataclass
class Days:
    """Serves `pages(window)` for a window and `live` for the whole; each page takes `seconds`. Remembers in `asked`
    which page of which partition was asked for, and in `most` how many partitions were read at once."""

    clock: Clock = field(default_factory=SteppingClock)
    pages: Callable[[Window], list[Page]] = day_pages
    live: list[Page] = field(default_factory=lambda: [[{"id": "live", "price": "1"}]])
    seconds: float = 0.0
    name: str = "scripted"
    asked: list[tuple[str, int]] = field(default_factory=list)
    most: int = 0
    _open: int = 0

    async def partitions(self) -> Sequence[str]:
        return [""]

    def check_window(self, window: Window, /) -> None:
        """Takes all."""

    def is_complete(self, cursor: Cursor, /) -> bool:
        return cursor.get("done") is True

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        window = Window.of(partition)
        pages = self.live if window is None else self.pages(window)
        again = context.cursor is None or context.full or context.cursor.get("done")
        start = 0 if again else int(context.cursor.get("page", 0))
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            for number, page in enumerate(pages[start:], start):
                self.asked.append((partition, number))
                await (self.clock.sleep(self.seconds) if self.seconds else asyncio.sleep(0))
                if isinstance(page, KasparroError):
                    raise page
                done = {"done": True} if number + 1 == len(pages) else {}
                yield batch_of(page, {"page": number + 1, **done}, self.clock.now())
        finally:
            self._open -= 1


def job_of(source: Days, **more: Any) -> SourceJob:
    """A quote source; `at` is when a state held, if an item says so."""
    mapping = RecordMapping(source=source.name, kind="quote", key=["id"], value="price", occurred_at="at")
    return SourceJob(source, more.pop("mapping", mapping), **more)


class Bench:
    """A store, and any number of processes on it."""

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.owners = MemoryOwners()
        self.told = Told()

    def process(self) -> tuple[Runner, Backfiller]:
        """Another process."""
        runner = Runner(self.store, MemoryHandle(self.owners), self.clock, {"lines": LinesDecoder()}, self.told)
        return runner, Backfiller(self.store, self.clock, runner)

    async def backfill(self, source: Days, count: int, *, job: SourceJob | None = None, **options: Any) -> Backfilled:
        """A backfill of so many days by a process of its own."""
        _, backfiller = self.process()
        return await backfiller.backfill(job or job_of(source), source, days(count), **options)

    async def checkpoints(self) -> dict[str, Checkpoint]:
        async with self.store.begin(write=False) as work:
            return {each.partition: each for each in await work.checkpoints.list()}

    async def states(self) -> dict[str, str]:
        async with self.store.begin(write=False) as work:
            return {each.partition: each.state for each in await work.partitions.list()}

    async def runs(self) -> list[Run]:
        """The ledger, oldest first."""
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.runs.list(RunQuery(limit=10_000))))

    async def records(self) -> dict[str, StoredRecord]:
        async with self.store.begin(write=False) as work:
            return {each.record.key: each for each in await work.records.page(RecordQuery(), limit=100_000)}

    async def versions(self, key: str) -> list[tuple[str, datetime]]:
        """Value and instant of the observation of each earlier state of a record, latest first."""
        record = (await self.records())[key]
        async with self.store.begin(write=False) as work:
            found = await work.records.versions(record.record_id)
        return [(str(each.record.value), each.observed_at) for each in found]


def virtually(story: Callable[[WorldClock], Coroutine[Any, Any, T]], seed: int = 1) -> T:
    """Tell a story of several processes on a clock that only moves when nobody else does."""
    loop = SimulatedLoop(random.Random(seed), lambda: 0.002)
    try:
        return loop.run_until_complete(story(WorldClock(loop)))
    finally:
        loop.close()
