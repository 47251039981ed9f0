"""SQLite through aiosqlite: one writer, readers beside it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Text, event, func, select, type_coerce
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.expression import TableClause

from kasparro_adapters.sql.bulk.port import BulkWriter
from kasparro_adapters.sql.bulk.sqlite import SqliteBulk
from kasparro_adapters.sql.errors import translated, translated_files
from kasparro_adapters.sql.session import Session, opened
from kasparro_adapters.sql.types import Instant
from kasparro_adapters.sql.url import shown

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",  # KiB; a writer and a few readers stay small
    "PRAGMA temp_store = MEMORY",
)
_WRITER_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # FULL: a commit survives a power cut. It costs one fsync per commit, and a commit holds a whole batch.
    "PRAGMA synchronous = FULL",
)
_READER_PRAGMAS = ("PRAGMA query_only = ON",)


class SqliteDatabase:
    """A file with one writing connection, which takes the write lock when a transaction begins, and several reading
    ones, which see the state at their beginning and block nobody.

    `lock_wait` (seconds) bounds how long a writer waits for other processes. Writers of this process queue up first.
    """

    def __init__(self, url: URL, lock_wait: float = 30.0) -> None:
        self.shown = shown(url)
        self._path = Path(str(url.database))
        self._turn = asyncio.Lock()
        self._writer = _engine(url, lock_wait, "BEGIN IMMEDIATE", _WRITER_PRAGMAS, size=1)
        self._reader = _engine(url, lock_wait, "BEGIN", _READER_PRAGMAS, size=8)

    @asynccontextmanager
    async def session(self, *, write: bool) -> AsyncIterator[Session]:
        """A transaction, begun at once."""
        turn = self._turn if write else nullcontext()
        engine = self._writer if write else self._reader
        async with turn, opened(engine, self.shown) as session:
            yield session

    @asynccontextmanager
    async def schema_change(self) -> AsyncIterator[AsyncConnection]:
        """The write lock excludes everybody else."""
        async with self._turn:
            with translated(self.shown, connecting=True):
                async with self._writer.begin() as connection:
                    yield connection

    def exists(self) -> bool:
        """SQLite makes the file when it is opened."""
        with translated_files(self.shown):
            return self._path.exists()

    def bulk(self, session: Session) -> BulkWriter:
        """Writes by executemany."""
        return SqliteBulk(session)

    def insert(self, table: TableClause) -> Insert:
        """SQLite's INSERT."""
        return insert(table)

    def now(self, plus: float | ColumnElement[float] = 0.0) -> ColumnElement[datetime]:
        """The machine's clock as SQLite reads it, to the millisecond, in the text form of instants."""
        text = func.strftime("%Y-%m-%dT%H:%M:%f000Z", "now", func.printf("%+.3f seconds", plus))
        return type_coerce(text, Instant)

    def among(self, column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
        """Through a JSON array."""
        array = func.json_each(json.dumps(list(values), ensure_ascii=False)).table_valued(Column("value", Text))
        return column.in_(select(array.c.value))

    def pairs(self, pairs: Sequence[tuple[str, str]], names: tuple[str, str] = ("source", "external_id")) -> FromClause:
        """Through a JSON array of arrays."""
        each = func.json_each(json.dumps(pairs, ensure_ascii=False)).table_valued(Column("value", Text)).c.value
        columns = (func.json_extract(each, f"$[{at}]").label(name) for at, name in enumerate(names))
        return select(*columns).subquery()

    def contains(self, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """instr() compares code points."""
        return func.instr(column, text) > 0

    async def close(self) -> None:
        """Close both pools."""
        with translated(self.shown):
            await self._writer.dispose()
            await self._reader.dispose()


def _engine(url: URL, lock_wait: float, begin: str, pragmas: Sequence[str], *, size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        connect_args={"timeout": lock_wait, "isolation_level": None},  # None: transactions are begun here alone
        pool_size=size,
        max_overflow=0,
        pool_timeout=lock_wait,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def try_to_open(*_: object) -> None:
        # Of a file that cannot be opened aiosqlite would leave a thread that still speaks to the event loop.
        sqlite3.connect(str(url.database)).close()

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(dbapi: Any, _record: object) -> None:
        try:
            cursor = dbapi.cursor()
            for pragma in (*_PRAGMAS, *pragmas):
                cursor.execute(pragma)
            cursor.close()
        except BaseException:  # whatever it was, a connection that is not set up is not left open
            dbapi.close()
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
