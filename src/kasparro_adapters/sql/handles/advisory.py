"""A session advisory lock on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import NullPool, TextClause, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from kasparro_adapters.sql import postgres
from kasparro_adapters.sql.errors import translated
from kasparro_adapters.sql.handles.owner import this_process
from kasparro_adapters.sql.postgres import postgres_engine
from kasparro_adapters.sql.url import shown
from kasparro_core.errors import TransientStorageError
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
_END_SILENT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = current_user AND application_name = current_setting('application_name')"
    " AND state = 'active' AND wait_event = 'ClientRead' AND query_start < clock_timestamp() - :limit * interval '1 s'"
)
"""A client that is stopped in the middle of a COPY, or between preparing a statement and running it, holds its locks
for ever: the server waits for the rest, and neither calls that idling nor lets a statement's timeout end it."""

_PATIENCE = "5s"
"""How long our own lock may be held against us: somebody judges us, or our lost session is not buried yet."""


class AdvisoryHandle:
    """One connection outside the pools that holds one lock, numbered after the owner's name.

    The server frees it when the connection ends; so a cancellation takes effect between the steps, never inside one,
    which would tear the connection off. Behind a pooler that lends sessions out per transaction the lock is
    not tied to this process; then nobody is judged, and leases run out instead.
    """

    def __init__(self, url: URL) -> None:
        self._shown = shown(url)
        self._engine = postgres_engine(
            url, {"lock_timeout": _PATIENCE}, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._owner = str(this_process())
        self._connection: AsyncConnection | None = None
        self._pooled = False
        self._turn = asyncio.Lock()  # one connection answers one question at a time; runs begin side by side

    @property
    def owner(self) -> str:
        """The name of this process."""
        return self._owner

    async def hold(self) -> None:
        """Make sure of the lock, over a new connection if the old one is lost. Every process does so again and again;
        that is the occasion to end sessions of stopped ones that the server itself does not end."""
        async with self._turn:
            connection = await whole(self._hold())
            await whole(self._ask(connection, _END_SILENT, limit=postgres.IDLE_LIMIT))

    async def judge(self, owner: str, /) -> Liveness:
        """A lock that can be taken has no living owner."""
        if owner == self._owner:
            return Liveness.ALIVE
        async with self._turn:
            return await whole(self._judge(owner))

    async def close(self) -> None:
        """End the connection, and the lock with it."""
        async with self._turn:
            await self._drop()
            await self._engine.dispose()

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
        return connection

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
