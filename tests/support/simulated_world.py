"""A service of several processes on one database, and everything that can happen to it, out of one seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from processes import Every
from simulated_database import Database, Weather
from simulated_loop import Line, SimulatedLoop
from simulated_oracle import Oracle, asked_in_vain, at_the_end
from simulated_process import TTL, Process, WorldClock
from simulated_upstream import Api, Log, MovingList, Pages, Trouble, Upstream

from kasparro_core.errors import (
    ConflictError,
    KasparroError,
    PermanentStorageError,
    StorageError,
    TransientStorageError,
)
from kasparro_core.model import GivenAnswer, Lease, Run, RunStatus, Trigger
from kasparro_core.services.desk import Started


@dataclass
class World:
    """Everything of one seed. `calm`: nothing goes wrong in it, and so no run may be interrupted."""

    seed: int
    keep_trace: bool = False
    trace: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    processes: list[Process] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = chance = random.Random(self.seed)
        self.calm = chance.random() < 0.1
        self.loop = SimulatedLoop(chance, lambda: chance.random() * 0.05)
        self.clock = WorldClock(self.loop)
        self.trouble = self._trouble()
        self.upstreams = self._upstreams()
        self.rules = {name: Every(chance.choice([4.0, 9.0])) for name in self.upstreams if chance.random() < 0.6}
        self.periods = {name: rule.seconds for name, rule in self.rules.items()}
        self.oracle = Oracle(self.upstreams, self._excuse, self._is_full, self.tell)
        weather = Weather(server=chance.random() < 0.5, judges=chance.random() < 0.85)
        if not self.calm:
            weather.statement, weather.commit_before, weather.commit_after = (
                chance.choice([0.0, 0.0, 0.005, 0.02]),
                chance.choice([0.0, 0.02, 0.1]),
                chance.choice([0.0, 0.02, 0.1]),
            )
        weather.latency = chance.choice([0.005, 0.02, 0.3])
        self.database = Database(self.loop, chance, weather, self.clock.today, self.oracle.inspect, self.tell)
        self.ill_until = 0.0
        self.horizon = chance.uniform(6.0, 20.0)

    def tell(self, *words: Any) -> None:
        """Something happened."""
        if self.keep_trace:
            self.trace.append(f"{self.loop.time():9.4f} " + " ".join(map(str, words)))

    def count(self, fault: str, *words: Any) -> None:
        """A fault has fired."""
        self.counts[fault] += 1
        self.tell(fault, *words)

    def _trouble(self) -> Trouble:
        chance = self.chance
        trouble = Trouble(latency=chance.choice([0.05, 0.5, 1.5]), slow=chance.choice([0.0, 0.05]), longest=2.5 * TTL)
        if not self.calm:
            trouble.fail, trouble.stale = chance.choice([0.0, 0.05, 0.2]), chance.choice([0.0, 0.2])
        return trouble

    def _upstreams(self) -> dict[str, Upstream]:
        chance = self.chance
        kinds: list[type[Upstream]] = chance.sample([MovingList, Log, Api, Pages], chance.choice([1, 2, 2, 3]))
        made = [
            kind(
                kind.__name__.lower(),
                chance,
                self.trouble,
                self.tell,
                self.loop.time,
                page=chance.randint(1, 4),
                history=chance.random() < 0.4,
                keep_raw=chance.random() < 0.8,
                read_ahead=kind in (MovingList, Log) and chance.random() < 0.5,
            )
            for kind in kinds
        ]
        for upstream in made:
            for _ in range(chance.randint(0, 14)):
                upstream.change()
        return {upstream.name: upstream for upstream in made}

    def _excuse(self, owner: str, lease: Lease, taker: Line) -> str | None:
        """Why a lease could be taken over: its owner was dead, could not be known to live, or had let it run out."""
        process = next(process for process in self.processes if process.line.name == owner)
        if process.dead:
            return "its owner was dead"
        if owner == taker.name and lease.run_id not in process.runner.carried:
            return "its own process had left it"
        if owner not in self.database.alive or (self.database.weather.server and self.loop.time() < self.ill_until):
            return "its owner's session was lost"
        expired = lease.expires_at <= self.clock.today()
        if expired and max(process.ill_until, self.ill_until) > self.loop.time() - TTL:
            return "it had expired"
        if expired and self.database.fired:
            return "it had expired, after faults"
        return None

    def _is_full(self, run_id: int) -> bool:
        """Whether a run reads everything from the start."""
        return any(run_id in process.runner.full for process in self.processes)

    def start(self) -> Process:
        """A new process."""
        process = Process(self, f"p{len(self.processes) + 1}")
        self.processes.append(process)
        return process

    @property
    def living(self) -> list[Process]:
        """Those that can be asked for something."""
        return [process for process in self.processes if not process.dead]

    @property
    def serving(self) -> list[Process]:
        """Those of them that serve."""
        return [process for process in self.living if process.beats]

    async def live(self) -> None:
        """The whole story: trouble, recovery, two complete runs of everything, the end."""
        for _ in range(self.chance.randint(1, 3)):
            self.start().serve()
        while self.loop.time() < self.horizon:
            await asyncio.sleep(self.chance.expovariate(1.5))
            self._happen()
        await self._clear_up()
        await self._rest()
        for process in self.living:
            process.spawn(process.stop())
        await self._until(lambda: not self.living, "the processes do not stop")
        for _ in range(2):
            await self._complete()
        self._judge()

    def _happen(self) -> None:
        """One thing, drawn."""
        things: list[tuple[float, Callable[[], None]]] = [
            (5.0, self._change),
            (2.0, self._trigger),
            (0.7, self._storm),
            (0.7, self._command),
            (0.4, self._replay),
        ]
        if not self.calm:
            things += [
                (1.5, self._kill),
                (1.0, self._freeze),
                (0.3, self._outage),
                (0.5, self._stop),
                (1.2, self._start),
            ]
        self.chance.choices([thing for _, thing in things], [weight for weight, _ in things])[0]()

    def _change(self) -> None:
        self.chance.choice(list(self.upstreams.values())).change()

    def _trigger(self, process: Process | None = None, names: list[str] | None = None) -> None:
        if process is None:
            if not self.serving:
                return
            process = self.chance.choice(self.serving)
        if names is None:
            names = self.chance.sample(list(self.upstreams), self.chance.randint(1, len(self.upstreams)))
        key = f"key {self.chance.randint(1, 3)}" if self.chance.random() < 0.3 else None
        process.spawn(self._ask(process, names, key))

    async def _ask(self, process: Process, names: list[str], key: str | None) -> None:
        """What a request for runs does: whoever is answered can rely on the runs."""

        def answer(started: Started) -> GivenAnswer:
            body = " ".join(str(run.run_id) for run in started.runs)
            return GivenAnswer(str(key), "hash", 202, None, body, self.clock.now())

        jobs = [process.jobs[name] for name in names]
        try:
            started = await process.desk.start(jobs, Trigger.API, answer=answer if key else None)
        except (ConflictError, StorageError) as error:
            self.tell("refused", process.line.name, error)
            return
        for run in started.runs:
            stored = self.database.state.runs.get(run.run_id)
            if stored is None or stored.source != run.source:
                self.faults.append(f"run {run.run_id} of {run.source} was promised and does not exist")

    def _storm(self) -> None:
        """Every process is asked for the same source at once, some of them twice."""
        name = self.chance.choice(list(self.upstreams))
        for process in self.serving:
            for _ in range(self.chance.randint(1, 2)):
                self._trigger(process, [name])

    def _command(self) -> None:
        """`kasparro run`, beside the service."""
        process = self.start()
        process.spawn(self._run_all(process, wait=self.chance.random() < 0.5, full=self.chance.random() < 0.2))
        if not self.calm and self.chance.random() < 0.3:
            process.line.fuse, process.line.burnt = self.chance.randint(1, 200), process.die

    async def _run_all(self, process: Process, *, wait: bool, full: bool = False) -> None:
        for job in process.jobs.values():
            try:
                claim = await process.runner.claims.claim(job.name, Trigger.CLI, wait=wait)
                if claim is not None:
                    await process.runner.carry_out(job, claim, full=full)
            except KasparroError as error:
                self.tell("command failed", process.line.name, error)
        await process.stop()

    def _replay(self) -> None:
        process = self.start()
        process.spawn(self._replay_one(process, self.chance.choice(list(self.upstreams))))

    async def _replay_one(self, process: Process, name: str) -> None:
        try:
            await process.replayer.replay(process.jobs[name])
        except KasparroError as error:
            self.tell("replay failed", process.line.name, error)
        await process.stop()

    def _kill(self) -> None:
        if self.living:
            process = self.chance.choice(self.living)
            process.line.fuse, process.line.burnt = self.chance.randint(1, 150), process.die

    def _freeze(self) -> None:
        if self.living:
            process, seconds = self.chance.choice(self.living), self.chance.choice([1.0, 5.0, 8.0, 15.0])
            process.line.fuse = self.chance.randint(1, 150)
            process.line.burnt = lambda: process.freeze(seconds)

    def _outage(self) -> None:
        if self.database.away is None:
            kind = self.chance.choice([TransientStorageError, TransientStorageError, PermanentStorageError])
            seconds = self.chance.choice([0.2, 1.0, 4.0, 9.0])
            self.count("outage", kind.__name__, seconds)
            self.ill_until = self.loop.time() + seconds + TTL
            self.database.go_away(kind)
            self.loop.call_later(seconds, self.database.come_back)

    def _stop(self) -> None:
        if self.serving:
            process = self.chance.choice(self.serving)
            process.spawn(process.stop())

    def _start(self) -> None:
        if len(self.serving) < 4:
            self.start().serve()

    async def _clear_up(self) -> None:
        """From here on nothing goes wrong. Whoever is still stopped goes on by itself."""
        self.trouble.clear_up()
        self.database.weather.clear_up()
        for process in self.processes:
            process.line.fuse = -1
        await self._until(lambda: self.database.away is None, "the database does not come back")
        self.start().serve()

    async def _rest(self) -> None:
        """The services end what is left, by themselves."""
        await asyncio.sleep(3 * TTL)
        self.rules.clear()  # nothing further is due
        self.start().serve()
        await self._until(lambda: not any(process.line.stopped for process in self.living), "a process stays stopped")
        await self._until(lambda: not self._running(), "a run stays running")

    def _running(self) -> list[Run]:
        return [run for run in self.database.state.runs.values() if run.status is RunStatus.RUNNING]

    async def _complete(self) -> None:
        """A run of each source that nobody disturbs."""
        process = self.start()
        for job in process.jobs.values():
            run = await process.spawn(process.runner.run(job))
            if run.status not in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED):
                self.faults.append(f"an undisturbed run ended {run.status}: {run.error}")
        await process.spawn(process.handle.close())
        process.die("exited")

    async def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Wait for something that has to come about soon."""
        deadline = self.loop.time() + 300.0
        while not holds():
            if self.loop.time() > deadline:
                raise AssertionError(f"{otherwise}: {self._running()}, {self.database.state.leases}")
            await asyncio.sleep(0.5)

    def _judge(self) -> None:
        state = self.database.state
        self.faults += at_the_end(state, self.upstreams, self.periods)
        for name, upstream in self.upstreams.items():
            vain = asked_in_vain(state, upstream, self.oracle.committed[name])
            self.faults += [] if vain is None else [vain]
        if self.calm:
            ended = [run for run in state.runs.values() if run.status is RunStatus.INTERRUPTED]
            self.faults += [f"run {run.run_id} was interrupted although nothing happened" for run in ended]
