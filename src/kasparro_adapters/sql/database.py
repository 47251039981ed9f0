"""What differs between the two databases, as one Protocol: `sqlite.py` and `postgres.py` implement it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Executable, FromClause
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import TableClause

from kasparro_adapters.sql.bulk.port import BulkWriter
from kasparro_adapters.sql.session import Session

Upsert = PostgresInsert | SqliteInsert


class Database(Hashable, Protocol):
    """One database. Methods that build SQL do no I/O."""

    @property
    def shown(self) -> str:
        """Its name in messages: no secrets."""
        ...

    def session(self, *, write: bool) -> AbstractAsyncContextManager[Session]:
        """A transaction on a connection of its own, rolled back unless committed."""
        ...

    def schema_change(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that commits at its end and excludes every other schema change meanwhile."""
        ...

    def exists(self) -> bool:
        """False when connecting would make an empty database."""
        ...

    def bulk(self, session: Session) -> BulkWriter:
        """The set-based writes of records."""
        ...

    def insert(self, table: TableClause) -> Upsert:
        """INSERT with this database's ON CONFLICT."""
        ...

    def now(self, plus: float | ColumnElement[float] = 0.0) -> ColumnElement[datetime]:
        """The database's clock when the statement runs, `plus` seconds (a number, or a parameter of that type)."""
        ...

    def among(self, column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
        """`column IN values` with one bound parameter, however many values there are."""
        ...

    def pairs(self, pairs: Sequence[tuple[str, str]], names: tuple[str, str] = ("source", "external_id")) -> FromClause:
        """Rows of two texts under these names, however many, with one or two bound parameters."""
        ...

    def contains(self, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """The text occurs in the column, code point by code point."""
        ...

    async def close(self) -> None:
        """Close all connections. Twice is fine."""
        ...


def made_once(make: Callable[[Database], Executable]) -> Callable[[Database], Executable]:
    """A statement that every commit runs is put together once for a database, which costs more than to send it, and is
    kept for as long as the database is."""
    made: WeakKeyDictionary[Database, Executable] = WeakKeyDictionary()

    def statement(database: Database) -> Executable:
        found = made.get(database)
        if found is None:
            found = made[database] = make(database)
        return found

    return statement
