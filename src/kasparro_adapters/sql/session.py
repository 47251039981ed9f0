"""One transaction's connection. All SQL runs through it, so all driver errors are translated by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kasparro_adapters.sql.errors import translated
from kasparro_core.errors import StorageError, UnstorableError
from kasparro_core.services.steps import whole

T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@asynccontextmanager
async def opened(engine: AsyncEngine, database: str, *, known: bool = False) -> AsyncIterator[Session]:
    """A session on a connection of its own, which is given back without what was not committed. A server that answered
    before is `known`: that it does not now may pass."""
    with translated(database, connecting=True, known=known):
        connection = await _connected(engine)
    session = Session(connection, database)
    try:
        with translated(database, connecting=True, known=known):
            await whole(connection.begin())
        yield session
    except BaseException as error:
        await session.close(error)
        raise
    await session.close()


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    connecting = asyncio.ensure_future(_connect(engine))
    try:
        return await whole(connecting)
    except asyncio.CancelledError:
        if connecting.done() and not connecting.cancelled() and connecting.exception() is None:
            await connecting.result().close()
        raise


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


class Session:
    """Statements of one transaction, until it is committed or a statement fails."""

    def __init__(self, connection: AsyncConnection, database: str) -> None:
        self._connection = connection
        self._database = database
        self._over: str | None = None
        self._at_once = self.dialect != "postgresql"

    @property
    def dialect(self) -> str:
        """The database's kind: "sqlite" or "postgresql"."""
        return self._connection.dialect.name

    async def run(self, statement: Executable, params: Params = None) -> CursorResult[Any]:
        """Execute a statement, once or for each of the given rows."""
        with self.guarded():
            return await whole(self._connection.execute(statement, params))

    async def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """All rows."""
        return (await self.run(statement)).all()

    async def first(self, statement: Executable) -> Row[Any] | None:
        """The first row, or None."""
        return (await self.run(statement)).first()

    async def driver_sql(self, statement: str, params: Any = None) -> CursorResult[Any]:
        """The driver's own SQL; a list of tuples runs it for each of them."""
        with self.guarded():
            return await whole(self._connection.exec_driver_sql(statement, params))

    async def sync(self, work: Callable[[Connection], T]) -> T:
        """Let a synchronous function use the connection (inspection)."""
        with self.guarded():
            return await whole(self._connection.run_sync(work))

    async def driver(self) -> Any:
        """The driver's connection inside this transaction; use it within `guarded`."""
        return (await self._connection.get_raw_connection()).driver_connection

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Translate what the body raises, and let nothing run or commit after a failure: the transaction is broken."""
        if self._over is not None:
            raise RuntimeError(f"this unit of work is over: {self._over}")
        try:
            with translated(self._database):
                yield
        except BaseException:  # a cancellation breaks the transaction as an error does
            self._over = "a statement of it failed"
            raise

    async def commit(self) -> None:
        """Make it durable; nothing runs afterwards."""
        with self.guarded():
            await whole(self._connection.commit())
        self.end("it was committed")

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What the body did is undone when the database refused a value of it; the transaction goes on."""
        await self._refuse_at_once()
        with self.guarded():
            nested = await whole(self._connection.begin_nested())
        try:
            yield
        except UnstorableError:
            self._over = None
            with self.guarded():
                await whole(nested.rollback())
            raise
        with self.guarded():
            await whole(nested.commit())

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> UnstorableError | None:
        """Do it within a savepoint; why it was refused and undone, if it was."""
        try:
            async with self.savepoint():
                await work()
        except UnstorableError as error:
            return error
        return None

    async def _refuse_at_once(self) -> None:
        """What PostgreSQL is told to check at the commit would be found there, too late to tell whose fault it was."""
        if not self._at_once:
            await self.driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
            self._at_once = True

    def forgive(self) -> None:
        """The statement that just failed has undone itself and nothing else: the transaction goes on."""
        self._over = None

    async def close(self, error: BaseException | None = None) -> None:
        """Give the connection back, without what was not committed. What goes wrong on the way goes behind an `error`
        that ends the session: the server drops what is left of a lost connection."""
        self.end("its context was left")
        try:
            with translated(self._database):
                await whole(self._connection.close())
        except StorageError as second:
            if error is None:
                raise
            error.add_note(f"its connection was not given back either: {second}")

    def end(self, why: str) -> None:
        """Refuse what comes after."""
        self._over = self._over or why
