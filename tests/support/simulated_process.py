"""One simulated process of a service: everything it is made of, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scripted import Told
from simulated_database import IDLE, SimulatedHandle, SimulatedStore
from simulated_loop import SimulatedLoop

from kasparro_adapters.http import JsonDecoder
from kasparro_core.errors import KasparroError
from kasparro_core.model import Run
from kasparro_core.services.claims import Claim
from kasparro_core.services.desk import Desk
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.recovery import Recovery
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner
from kasparro_core.services.timetable import Timetable

if TYPE_CHECKING:
    from simulated_world import World

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
TTL = 6.0
"""Seconds that a lease lasts here: all times are ten times shorter than the product's."""


@dataclass
class WorldClock:
    """The Clock of all processes: exact, and never twice the same instant."""

    loop: SimulatedLoop
    last: datetime = EPOCH

    def now(self) -> datetime:
        """Virtual time, a microsecond later at least than last time."""
        self.last = max(self.last + timedelta(microseconds=1), self.today())
        return self.last

    def today(self) -> datetime:
        """Virtual time as the database has it."""
        return EPOCH + timedelta(seconds=self.loop.time())

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self.loop.time()

    async def sleep(self, seconds: float, /) -> None:
        """A timer of the loop."""
        await asyncio.sleep(seconds)


@dataclass
class ProcessClock:
    """The clock of one process, which may be ahead of the others' or behind them."""

    world: WorldClock
    ahead: timedelta

    def now(self) -> datetime:
        """Its own idea of the time."""
        return self.world.now() + self.ahead

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self.world.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """A timer of the loop."""
        await self.world.sleep(seconds)


class _Runner(Runner):
    """Remembers which runs it carries out, and which of all read everything."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.carried: set[int] = set()
        self.full: set[int] = set()

    async def carry_out(self, job: SourceJob, claim: Claim, *, full: bool = False) -> Run:
        self.carried.add(claim.run.run_id)
        if full:
            self.full.add(claim.run.run_id)
        try:
            return await super().carry_out(job, claim, full=full)
        finally:
            self.carried.discard(claim.run.run_id)


class Process:
    """One process. `ill_until`: until when its lease may run out although it lives, because it was stopped."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.line = world.loop.line(name)
        self.line.weight = world.chance.choice([1.0, 1.0, 0.2, 3.0])
        self.handle = SimulatedHandle(world.database, self.line)
        self.store = SimulatedStore(world.database, self.line)
        self.told = Told()
        decoders = {"json": JsonDecoder()}
        clock = ProcessClock(world.clock, timedelta(seconds=world.chance.uniform(-3.0, 3.0)))
        parts = (self.store, self.handle, clock, decoders, self.told)
        self.runner = _Runner(*parts, lease_ttl=TTL, at_once=world.chance.choice([None, 1, 8]))
        self.replayer = Replayer(*parts, lease_ttl=TTL)
        self.desk = Desk(self.store, clock, self.runner)
        self.jobs = {name: upstream.job(clock) for name, upstream in world.upstreams.items()}
        self.timetable = Timetable(self.store, self.desk, world.rules, self.jobs)
        self.recovery = Recovery(self.store, self.runner.claims, self.desk, self.jobs)
        self.beats: list[asyncio.Task[None]] = []
        self.dead = self.settled = False
        self.ill_until = 0.0

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of this process."""
        return self.world.loop.spawn(self.line, work)

    def serve(self) -> None:
        """Tick and look, as a service does."""
        period = self.world.chance.choice([0.7, 1.5, 3.0])
        self.beats = [
            self.spawn(self._beat(self._tick, period)),
            self.spawn(self._beat(self.recovery.look, 3 * period)),
        ]

    async def _tick(self) -> None:
        if not self.settled:
            await self.timetable.settle()
            self.settled = True
        await self.timetable.tick()

    async def _beat(self, work: Callable[[], Awaitable[object]], period: float) -> None:
        while True:
            try:
                await work()
            except KasparroError as error:
                self.world.tell("beat", self.line.name, str(error))
            await asyncio.sleep(period)

    async def stop(self) -> None:
        """End in order, as far as five seconds allow."""
        for beat in self.beats:
            beat.cancel()
        await self.desk.stop(5.0)
        await self.handle.close()
        self.die("exited")

    def die(self, how: str = "killed") -> None:
        """Nothing of it moves any more; the system closes what it had open."""
        if self.dead:
            return
        self.dead = self.line.stopped = True
        self.world.count(how, self.line.name)
        self.world.database.bury(self.line)

    def freeze(self, seconds: float) -> None:
        """Stand still for a while, whatever is going on."""
        if self.dead or self.line.stopped:
            return
        self.world.count("frozen" if seconds < TTL else "frozen beyond its lease", self.line.name)
        self.line.stopped = True
        self.ill_until = self.world.loop.time() + seconds + TTL
        self.world.loop.call_later(IDLE, self.world.database.lost_patience, self.line)
        self.world.loop.call_later(seconds, self.thaw)

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        if not self.dead:
            self.world.tell("thaw", self.line.name)
            self.line.stopped = False
