"""PostgreSQL through asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    FromClause,
    Text,
    any_,
    bindparam,
    event,
    func,
    literal,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.expression import TableClause

from kasparro_adapters.sql.bulk.port import BulkWriter
from kasparro_adapters.sql.bulk.postgres import PostgresBulk
from kasparro_adapters.sql.errors import translated
from kasparro_adapters.sql.session import Session, opened
from kasparro_adapters.sql.types import Instant, Name
from kasparro_adapters.sql.url import connect_options, shown
from kasparro_core.normalize.canonical import parse_json

_SCHEMA_LOCK = 0x6B6173706172726F  # one number of our own in the database's space of advisory locks: "kasparro"

IDLE_LIMIT = 30
"""Seconds that a writer may idle inside its transaction; below the lease, so that a stopped owner cannot block its
successor, and above the wait for a lock."""

_POOL = {"pool_size": 5, "max_overflow": 10}  # twice, and a handle: three processes leave room in a server's usual 100

CONNECT_TIMEOUT = 10.0
"""Seconds that opening a connection may take, and that a reader waits for a free one."""


class PostgresDatabase:
    """A server's database, with one pool for writers and one for readers.

    `lock_wait` (seconds) bounds how long a statement waits for a lock. Readers see one snapshot per transaction and may
    idle inside it; a writer that idles for 30 s loses its transaction.
    """

    def __init__(self, url: URL, lock_wait: float = 20.0) -> None:
        self.shown = shown(url)
        self._known = False
        limits = {
            "lock_timeout": f"{lock_wait * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{IDLE_LIMIT}s",
        }
        self._writer = postgres_engine(url, limits, **_POOL, pool_timeout=lock_wait)
        self._reader = postgres_engine(
            url,
            # A bitmap loses the order of its index. Without statistics the planner takes every filter for one that
            # leaves few rows, and would collect and sort all of a source for each page.
            {"default_transaction_read_only": "on", "enable_bitmapscan": "off"},
            **_POOL,
            pool_timeout=CONNECT_TIMEOUT,
            isolation_level="REPEATABLE READ",
        )

    @asynccontextmanager
    async def session(self, *, write: bool) -> AsyncIterator[Session]:
        """A transaction, begun with its first statement."""
        engine = self._writer if write else self._reader
        async with opened(engine, self.shown, known=self._known) as session:
            self._known = True
            yield session

    @asynccontextmanager
    async def schema_change(self) -> AsyncIterator[AsyncConnection]:
        """An advisory lock of the transaction excludes the others."""
        with translated(self.shown, connecting=True):
            async with self._writer.begin() as connection:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
                with translated(self.shown):
                    yield connection

    def exists(self) -> bool:
        """Connecting never makes a database here."""
        return True

    def bulk(self, session: Session) -> BulkWriter:
        """Writes by COPY and arrays."""
        return PostgresBulk(session)

    def insert(self, table: TableClause) -> Insert:
        """PostgreSQL's INSERT."""
        return insert(table)

    def now(self, plus: float | ColumnElement[float] = 0.0) -> ColumnElement[datetime]:
        """The server's clock, which goes on within a transaction."""
        seconds = literal(plus, Double) if isinstance(plus, float | int) else plus
        return type_coerce(func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds), Instant)

    def among(self, column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
        """Through an array."""
        return column == any_(bindparam(None, list(values), type_=ARRAY(Text)))

    def pairs(self, pairs: Sequence[tuple[str, str]], names: tuple[str, str] = ("source", "external_id")) -> FromClause:
        """Through two arrays."""
        columns = [[first for first, _ in pairs], [second for _, second in pairs]]
        arrays = (bindparam(None, values, type_=ARRAY(Name)) for values in columns)
        return func.unnest(*arrays).table_valued(*(Column(name, Name) for name in names)).render_derived()

    def contains(self, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """strpos() compares code points."""
        return func.strpos(column, text) > 0

    async def close(self) -> None:
        """Close both pools."""
        with translated(self.shown):
            await self._writer.dispose()
            await self._reader.dispose()


def postgres_engine(url: URL, settings: Mapping[str, str], **options: Any) -> AsyncEngine:
    """An engine whose sessions run in UTC under our name with these server settings."""
    connect_args = {
        "timeout": CONNECT_TIMEOUT,
        **connect_options(url),
        "server_settings": {"application_name": "kasparro", "timezone": "UTC", **settings},
    }
    engine = create_async_engine(
        url,
        connect_args=connect_args,
        hide_parameters=True,
        json_deserializer=parse_json,  # exact: the default makes floats of decimals
        **options,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_ended)
    return engine


def _refuse_ended(dbapi: Any, _record: object, _proxy: object) -> None:
    """A session that the server ended while nobody used it is replaced when it is lent out, not tried: after a restart
    nobody meets the old ones. The driver has heard of the end already, so that this asks nobody."""
    if dbapi.driver_connection.is_closed():
        raise DisconnectionError
