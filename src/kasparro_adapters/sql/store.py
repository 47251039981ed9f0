"""The SQL store: SQLite or PostgreSQL behind one class."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import URL

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.schema import HEAD, migrate, stored_revision
from kasparro_adapters.sql.sqlite import SqliteDatabase
from kasparro_adapters.sql.unit import SqlUnitOfWork
from kasparro_adapters.sql.url import parse_url
from kasparro_core.errors import PermanentStorageError


class SqlStore:
    """A Store in SQLite (`sqlite:///file.db`) or PostgreSQL (`postgresql://...`).

    Connects with the first unit of work. `lock_wait`: how many seconds a writer waits for others before
    TransientStorageError (by default 30 on SQLite, 20 on PostgreSQL). Raises ConfigurationError for a URL that cannot
    be used. Serves one event loop.
    """

    def __init__(self, url: str, *, lock_wait: float | None = None) -> None:
        self._database = _database(parse_url(url), lock_wait)
        self._closed = False

    def __repr__(self) -> str:
        return f"SqlStore({self._database.shown!r})"

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[SqlUnitOfWork]:
        """A new transaction that rolls back unless committed."""
        self._check_open()
        async with self._database.session(write=write) as session:
            yield SqlUnitOfWork(session, self._database)

    async def migrate(self) -> str:
        """Bring the schema to this version and return its revision."""
        if await self.revision() == HEAD:
            return HEAD
        return await migrate(self._database)

    async def revision(self) -> str | None:
        """The schema revision, None when there is none."""
        self._check_open()
        if not self._database.exists():
            return None
        async with self._database.session(write=False) as session:
            return await stored_revision(session)

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._database.close()

    def _check_open(self) -> None:
        if self._closed:
            raise PermanentStorageError(f"The store of {self._database.shown} is closed.")


def _database(url: URL, lock_wait: float | None) -> Database:
    waits = {} if lock_wait is None else {"lock_wait": lock_wait}
    if url.get_backend_name() == "sqlite":
        return SqliteDatabase(url, **waits)
    from kasparro_adapters.sql.postgres import PostgresDatabase  # its driver is an extra

    return PostgresDatabase(url, **waits)
