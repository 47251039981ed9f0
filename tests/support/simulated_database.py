"""A database that many simulated processes share: one writer at a time, atomic commits, and every fault it is told to
have.

A statement may fail before or after it did its work; the transaction does not protect itself against being used on, so
that whoever does so is found out. A commit may fail before it happened, or after: then only its answer is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulated_loop import Line, SimulatedLoop
from simulated_upstream import REFUSED

from kasparro_adapters.memory.store import MemoryUnitOfWork
from kasparro_adapters.memory.tables import State, Transaction
from kasparro_core.errors import PermanentStorageError, StorageError, TransientStorageError, UnstorableError
from kasparro_core.model import Observation, PreparedRecord
from kasparro_core.ports import Liveness

LOCK_WAIT = 4.0
"""Seconds a writer waits for another."""

IDLE = 3.0
"""Seconds after which a server ends the transaction of a client that does nothing."""


@dataclass(slots=True)
class Weather:
    """How likely what is. Shares of 1; latencies in seconds. `server`: a server with sessions (PostgreSQL), which ends
    idle transactions and forgets its sessions at a restart, and not a file (SQLite). `judges`: whether it can be told
    who is alive."""

    statement: float = 0.0
    commit_before: float = 0.0
    commit_after: float = 0.0
    pause: float = 0.3
    latency: float = 0.02
    server: bool = False
    judges: bool = True

    def clear_up(self) -> None:
        """No further faults."""
        self.statement = self.commit_before = self.commit_after = 0.0


@dataclass(slots=True, eq=False)
class Session:
    """One transaction's connection."""

    line: Line
    broken: str | None = None


@dataclass
class Database:
    """The committed rows, the writer's lock and who is alive. `inspect` looks at each transaction right before it is
    committed; `tell` is told what happens."""

    loop: SimulatedLoop
    chance: random.Random
    weather: Weather
    now: Callable[[], datetime]
    inspect: Callable[[Transaction, Line], None]
    tell: Callable[..., None]
    state: State = field(default_factory=State)
    alive: set[str] = field(default_factory=set)
    away: type[StorageError] | None = None
    closed: bool = False
    writer: Session | None = None
    sessions: list[Session] = field(default_factory=list)
    waiting: deque[tuple[Session, asyncio.Future[None]]] = field(default_factory=deque)
    commits: int = 0
    fired: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = MemoryUnitOfWork(
            Transaction(self.state, writable=False), self.now
        )  # it keeps nothing: one for all

    def count(self, fault: str, line: Line) -> None:
        """A fault has fired."""
        self.fired[fault] = self.fired.get(fault, 0) + 1
        self.tell("fault", line.name, fault)

    def go_away(self, error: type[StorageError]) -> None:
        """Every connection is cut, and nobody gets a new one."""
        self.away = error
        for session in list(self.sessions):
            self.cut(session)
        if self.weather.server:
            self.alive.clear()

    def come_back(self) -> None:
        """Connections are accepted again."""
        self.away = None

    def bury(self, line: Line) -> None:
        """A process has ended: its transactions are rolled back, its handle is free."""
        self.alive.discard(line.name)
        for session in [session for session in self.sessions if session.line is line]:
            self.cut(session)

    def cut(self, session: Session) -> None:
        """Roll a transaction back from the server's side."""
        session.broken = "the connection is lost"
        self.free(session)

    def lost_patience(self, line: Line) -> None:
        """A server ends what a stopped process left open."""
        if self.weather.server and line.stopped:
            for session in [session for session in self.sessions if session.line is line]:
                self.cut(session)

    async def lock(self, session: Session) -> None:
        """Become the writer, in turn."""
        if self.writer is None and not self.waiting:
            self.writer = session
            return
        turn = self.loop.create_future()
        self.waiting.append((session, turn))
        try:
            async with asyncio.timeout(LOCK_WAIT):
                await turn
        except TimeoutError as error:
            self.count("locked", session.line)
            raise TransientStorageError("the database is locked") from error
        finally:
            if (session, turn) in self.waiting:
                self.waiting.remove((session, turn))

    def free(self, session: Session) -> None:
        """The transaction is over: the next one writes."""
        if session in self.sessions:
            self.sessions.remove(session)
        for place in [place for place in self.waiting if place[0] is session]:
            self.waiting.remove(place)
        if self.writer is session:
            self.writer = None
            self._hand_over()

    def _hand_over(self) -> None:
        while self.waiting and self.writer is None:
            session, turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.writer = session

    async def rest(self) -> None:
        """What a network and a disk take."""
        if self.chance.random() < self.weather.pause:
            await asyncio.sleep(self.chance.random() * self.weather.latency)

    def check(self, session: Session | None = None) -> None:
        """Raise what a connection would, if it cannot be used."""
        if self.closed:
            raise PermanentStorageError("the simulation is over")
        if self.away is not None:
            raise self.away("the database is away")
        if session is not None and session.broken:
            raise TransientStorageError(session.broken)


class SimulatedStore:
    """The Store of one process."""

    def __init__(self, database: Database, line: Line) -> None:
        self._database = database
        self._line = line

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[Any]:
        """A transaction; a writer waits for the one before it."""
        database = self._database
        database.check()
        await database.rest()
        database.check()
        session = Session(self._line)
        database.sessions.append(session)
        unit = None
        try:
            if write:
                await database.lock(session)
                unit = _Unit(database, session, Transaction(database.state, writable=True))
                yield unit
            else:
                yield _Unit(database, session, None)
        finally:
            if unit is not None:
                unit.end()
            database.free(session)

    async def migrate(self) -> str:
        """Nothing to do."""
        return "simulated"

    async def revision(self) -> str | None:
        """Always the present one."""
        return "simulated"

    async def close(self) -> None:
        """Nothing is kept open."""


class _Unit:
    """A unit of work whose every statement takes its time and may fail."""

    def __init__(self, database: Database, session: Session, transaction: Transaction | None) -> None:
        self._database = database
        self._session = session
        self._unit = database.reader if transaction is None else MemoryUnitOfWork(transaction, database.now)

    def __getattr__(self, name: str) -> Any:
        return _Statements(getattr(self._unit, name), self._database, self._session)

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A part that fails by itself."""
        return self._unit.savepoint()

    def end(self) -> None:
        """Forget what was not committed. What goes round in a circle is cut through: a seed has hundreds of these."""
        self._unit._tx.end()
        vars(self._unit.retention).clear()

    async def commit(self) -> None:
        """Apply it all in one step, between two waits in which everything may go wrong."""
        database, session = self._database, self._session
        await database.rest()
        database.check(session)
        if database.chance.random() < database.weather.commit_before:
            database.count("commit_before", session.line)
            raise TransientStorageError("the connection was lost before the commit")
        database.inspect(self._unit._tx, session.line)
        await self._unit.commit()
        database.commits += 1
        database.free(session)
        if database.chance.random() < database.weather.commit_after:
            database.count("commit_after", session.line)
            raise TransientStorageError("the connection was lost during the commit")
        await database.rest()


class _Statements:
    """One repository."""

    def __init__(self, repository: Any, database: Database, session: Session) -> None:
        self._repository = repository
        self._database = database
        self._session = session

    def __getattr__(self, name: str) -> Any:
        method, database, session = getattr(self._repository, name), self._database, self._session

        async def call(*args: Any, **options: Any) -> Any:
            await database.rest()
            database.check(session)
            fails = database.chance.random() < database.weather.statement
            if fails and database.chance.random() < 0.5:
                database.count("statement", session.line)
                raise TransientStorageError(f"{name} failed")
            if name == "upsert" and any(each.record.key.startswith(REFUSED) for each in args[0]):
                database.count("refused", session.line)
                raise UnstorableError("the database does not take it", reason="a key")
            if name == "upsert_apart":
                result = await self._apart(*args)
            else:
                result = await method(*args, **options)
            if fails:
                database.count("statement_answer", session.line)
                raise TransientStorageError(f"the answer of {name} was lost")
            return result

        return call

    async def _apart(self, records: Sequence[PreparedRecord], observation: Observation) -> Any:
        """What the database takes, and what it does not."""
        refused = [each for each in records if each.record.key.startswith(REFUSED)]
        taken = [each for each in records if not each.record.key.startswith(REFUSED)]
        error = UnstorableError("the database does not take it", reason="a key")
        return await self._repository.upsert(taken, observation), [(each, error) for each in refused]


class SimulatedHandle:
    """The ProcessHandle of one process. It is free when the process has died and, on a server, when its session was
    lost."""

    def __init__(self, database: Database, line: Line) -> None:
        self._database = database
        self._line = line

    @property
    def owner(self) -> str:
        """The process's name."""
        return self._line.name

    async def hold(self) -> None:
        """Hold it, or take it again."""
        if self._database.weather.server or self._database.closed:
            self._database.check()
        self._database.alive.add(self._line.name)

    async def judge(self, owner: str, /) -> Liveness:
        """Who is alive, where that can be told."""
        if owner == self._line.name:
            return Liveness.ALIVE
        if not self._database.weather.judges:
            return Liveness.UNKNOWN
        return Liveness.ALIVE if owner in self._database.alive else Liveness.DEAD

    async def close(self) -> None:
        """Give it back."""
        self._database.alive.discard(self._line.name)
