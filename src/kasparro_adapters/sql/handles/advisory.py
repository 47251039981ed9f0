"""A session advisory lock on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import NullPool, TextClause, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from kasparro_adapters.sql import postgres
from kasparro_adapters.sql.errors import translated
from kasparro_adapters.sql.handles.owner import has_ended, this_process
from kasparro_adapters.sql.handles.silent import Suspect, end, suspects
from kasparro_adapters.sql.postgres import postgres_engine
from kasparro_adapters.sql.url import shown
from kasparro_core.errors import StorageError, TransientStorageError
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.ownership import Liveness
from kasparro_core.services.steps import whole

_TAKE = text("SELECT pg_advisory_lock(:key)")
_TRY = text("SELECT pg_try_advisory_lock(:key)")
_FREE = text("SELECT pg_advisory_unlock(:key)")
_SESSION = text("SELECT pg_backend_pid()")
_OURS = text(
    "SELECT pg_backend_pid(), EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND pid = pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (classid::bigint << 32) | objid::bigint = :key)"
)
_NO_IDLE_LIMIT = text(
    "SELECT set_config('idle_session_timeout', '0', false)"
    " WHERE current_setting('idle_session_timeout', true) IS NOT NULL"
)
_PATIENCE = "5s"
"""How long our own lock may be held against us: somebody judges us, or our lost session is not buried yet."""

_GRACE = 2.0
"""Seconds for which a lock has to be free before its owner counts as dead: a living one whose session was cut off, or
whose server was started anew, takes it again at once."""

_UNWATCHED = 10.0
"""Seconds after which a free lock that nobody looked at is seen free for the first time again."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 1.0
"""Seconds between attempts to take the lock again while the server is away; less than the grace."""


class AdvisoryHandle:
    """One connection outside the pools that holds one lock, numbered after the owner's name.

    The server frees it when the connection ends; so a cancellation takes effect between the steps, never inside one,
    which would tear the connection off. Once held, a lock whose connection breaks is taken again in the background,
    until the handle is closed. Behind a pooler that lends sessions out per transaction the lock is
    not tied to this process; then nobody is judged, and leases run out instead.
    """

    def __init__(self, url: URL, clock: Clock) -> None:
        self._clock = clock
        self._shown = shown(url)
        self._engine = postgres_engine(
            url, {"lock_timeout": _PATIENCE}, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._owner = str(this_process())
        self._connection: AsyncConnection | None = None
        self._pooled = False
        self._open = False
        self._turn = asyncio.Lock()  # one connection answers one question at a time; runs begin side by side
        self._free: dict[str, tuple[float, float]] = {}  # owners whose lock was free, when for the first and last time
        self._suspected: set[Suspect] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def owner(self) -> str:
        """The name of this process."""
        return self._owner

    async def hold(self) -> None:
        """Make sure of the lock, over a new connection if the old one is lost. Every process does so again and again;
        that is the occasion to end sessions of stopped ones that the server itself does not end."""
        async with self._turn:
            found = set(await whole(self._suspects())) - self._suspected
        if found:
            self._suspected |= found
            self._start(self._end_silent(found))

    async def judge(self, owner: str, /) -> Liveness:
        """A lock that stays free has no living owner. Dead at once is one whose process is seen to have ended; of any
        other it takes two looks, some seconds apart."""
        if owner == self._owner:
            return Liveness.ALIVE
        while (verdict := await self._look(owner)) is Liveness.DEAD and not has_ended(owner):
            rest = self._rest(owner)
            if rest <= 0:
                break
            await self._clock.sleep(rest)
        return verdict

    async def close(self) -> None:
        """End the connection, and the lock with it."""
        self._open = False
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        async with self._turn:
            await self._drop()
            await self._engine.dispose()

    async def _look(self, owner: str) -> Liveness:
        async with self._turn:
            verdict = await whole(self._judge(owner))
        if verdict is not Liveness.DEAD:
            self._free.pop(owner, None)
        return verdict

    def _rest(self, owner: str) -> float:
        """How many seconds longer a lock that is free now has to be free."""
        now = self._clock.monotonic()
        self._free = {name: seen for name, seen in self._free.items() if now - seen[1] < _UNWATCHED}
        first, _ = self._free.get(owner, (now, now))
        self._free[owner] = (first, now)
        return first + _GRACE - now

    async def _judge(self, owner: str) -> Liveness:
        connection = await self._hold()
        if self._pooled:
            return Liveness.UNKNOWN
        (taken,) = await self._ask(connection, _TRY, key=_key(owner))
        if not taken:
            return Liveness.ALIVE
        await self._ask(connection, _FREE, key=_key(owner))
        return Liveness.DEAD

    async def _hold(self) -> AsyncConnection:
        if self._connection is not None:
            if self._pooled or await self._holds(self._connection):
                return self._connection
            await self._drop()
        return await self._connect()

    async def _connect(self) -> AsyncConnection:
        with translated(self._shown, connecting=True):
            connection = await self._engine.connect()
        try:
            await self._ask(connection, _NO_IDLE_LIMIT)
            (first,) = await self._ask(connection, _SESSION)
            await self._ask(connection, _TAKE, key=_key(self._owner))
            session, held = await self._ask(connection, _OURS, key=_key(self._owner))
        except BaseException:  # a cancellation too: nobody else would close it
            await connection.close()
            raise
        self._pooled = session != first or not held
        self._connection = connection
        driver = (await connection.get_raw_connection()).driver_connection
        driver.add_termination_listener(self._lost)  # type: ignore[union-attr]
        self._open = True
        return connection

    def _lost(self, _driver: object) -> None:
        """A connection has ended. Unless that was meant, others would soon take this process for dead."""
        if self._open and not self._pooled:
            self._start(self._hold_again())

    async def _hold_again(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                async with self._turn:
                    await whole(self._hold())
                return
            except StorageError:  # told by whoever needs the database
                await self._clock.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _suspects(self) -> Sequence[Suspect]:
        connection = await self._hold()
        with translated(self._shown):
            return await suspects(connection, postgres.IDLE_LIMIT)

    async def _end_silent(self, found: set[Suspect]) -> None:
        """End those that have not moved a third of the idle limit later: before whoever waits for them gives up."""
        try:
            await self._clock.sleep(postgres.IDLE_LIMIT / 3)
            for suspect in found:
                async with self._turn:
                    await whole(self._end(suspect))
        except StorageError:
            return  # the next hold() finds them again
        finally:
            self._suspected -= found

    async def _end(self, suspect: Suspect) -> None:
        connection = await self._hold()
        with translated(self._shown):
            await end(connection, suspect)

    async def _holds(self, connection: AsyncConnection) -> bool:
        """False when the connection is lost, or the lock with a session that a server change replaced."""
        try:
            _, held = await self._ask(connection, _OURS, key=_key(self._owner))
        except TransientStorageError:
            return False
        return bool(held)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with translated(self._shown):
                await connection.close()

    async def _ask(self, connection: AsyncConnection, statement: TextClause, **params: float) -> Sequence[Any]:
        with translated(self._shown):
            result = await connection.execute(statement, params)
            return result.first() or ()


def _key(owner: str) -> int:
    """63 bits of a hash, so that the number is positive."""
    return int.from_bytes(blake2b(owner.encode(), digest_size=8).digest()) >> 1
