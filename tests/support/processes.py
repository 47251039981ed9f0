"""Several processes of a service on one store, without any process: each has a handle of its own and may die."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scripted import LinesDecoder, Page, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.model import Run, RunQuery
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.desk import Desk
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.recovery import Recovery
from kasparro_core.services.run import Runner
from kasparro_core.services.timetable import SlotRule, Timetable

ROWS: list[Page] = [[{"id": "1", "price": "1"}], [{"id": "2", "price": "2"}]]


@dataclass(frozen=True)
class Every:
    """A slot each so many seconds, on the grid of the slot before; due `jitter` seconds later."""

    seconds: float
    jitter: float = 0.0

    @property
    def spec(self) -> str:
        return f"every {self.seconds} +{self.jitter}"

    def following(self, after: datetime) -> tuple[datetime, datetime]:
        slot_at = after + timedelta(seconds=self.seconds)
        return slot_at, slot_at + timedelta(seconds=self.jitter)


@dataclass
class World:
    """One database and its clock."""

    clock: SteppingClock = field(default_factory=SteppingClock)
    owners: MemoryOwners = field(default_factory=MemoryOwners)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock.now)

    def process(self, **at_once: int) -> Process:
        return Process(self, **at_once)

    async def pass_time(self, seconds: float) -> None:
        """Let the time go on, in steps that no waiting task sleeps through."""
        while seconds > 0:
            await self.clock.sleep(min(seconds, 5.0))
            seconds -= 5.0

    async def runs(self) -> list[Run]:
        """The ledger, oldest first."""
        async with self.store.begin(write=False) as work:
            return sorted(await work.runs.list(RunQuery(limit=1000)), key=lambda run: run.run_id)


class Process:
    """One process: its handle dies with it."""

    def __init__(self, world: World, at_once: int | None = None) -> None:
        self.world = world
        self.handle = MemoryHandle(world.owners)
        self.told = Told()
        self.runner = Runner(
            world.store, self.handle, world.clock, {"lines": LinesDecoder()}, self.told, at_once=at_once
        )
        self.desk = Desk(world.store, world.clock, self.runner)

    def timetable(self, rules: dict[str, SlotRule], *jobs: SourceJob) -> Timetable:
        return Timetable(self.world.store, self.desk, rules, {job.name: job for job in jobs})

    def recovery(self, *jobs: SourceJob) -> Recovery:
        return Recovery(self.world.store, self.runner.claims, self.desk, {job.name: job for job in jobs})

    async def idle(self) -> None:
        """Wait until none of its runs is under way."""
        while self.desk.running:
            await asyncio.sleep(0)

    async def die(self) -> None:
        """End without any clean-up: nothing of its tasks gets to write any more."""
        self.handle.die()


class Gate:
    """A source's `before_page` that stops at its first page until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, _partition: str, _page: int) -> None:
        self.reached.set()
        await self.opened.wait()


def job(name: str = "scripted", gate: Gate | None = None, pages: list[Page] | None = None) -> SourceJob:
    """A source of two pages; with a gate it waits at the first."""
    source = ScriptedSource({"": ROWS if pages is None else pages}, name=name, before_page=gate)
    return SourceJob(source, RecordMapping(source=name, kind="quote", key=["id"], value="price"))
