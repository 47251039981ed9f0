"""Driver errors become StorageErrors here and nowhere else.

SQLite is judged by its result code, PostgreSQL by SQLSTATE, both by the tables in `faults`. No error of a
driver leaves untranslated: what the tables do not know is UNEXPECTED, chained to its cause. Errors of Python itself are
bugs and pass as they are.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kasparro_adapters.sql.faults import (
    AWAY,
    CROWDED,
    FILE_FAULTS,
    LOST,
    POSTGRES_CONNECT_FAULTS,
    POSTGRES_FAULTS,
    PYTHON_FAULTS,
    SQLITE_FAULTS,
    SQLITE_WORDS,
    UNEXPECTED,
    UNOPENED,
    UNREACHABLE,
    Fault,
)
from kasparro_core.errors import StorageError

_CLOSED = ("connection is closed", "connection was closed")
_COLUMN = re.compile(r", column (\w+)|constraint failed: \w+\.(\w+)|column \"(\w+)\"")
_LONGEST = 200


def fault_of(error: BaseException, *, connecting: bool = False, known: bool = False) -> Fault | None:
    """What a driver's error means, or None when the tables do not know it. `connecting`: before any statement, to a
    server that answered before if it is `known`."""
    if isinstance(error, PoolTimeoutError):
        return CROWDED
    causes = list(_causes(error))
    unsent = PYTHON_FAULTS.get(type(causes[-1]))
    if unsent is not None:
        return unsent
    for cause in causes:
        fault = _sqlite_fault(cause) or _postgres_fault(cause, connecting=connecting)
        if fault is not None:
            return AWAY if fault is UNREACHABLE and known else fault
        if isinstance(cause, OSError):  # TimeoutError is one
            return LOST if not connecting else AWAY if known else UNREACHABLE
    if getattr(error, "connection_invalidated", False) or _says_closed(error):
        return LOST
    return None


@contextmanager
def translated(database: str, *, connecting: bool = False, known: bool = False) -> Iterator[None]:
    """Raise what the body's driver errors mean, chained to them."""
    try:
        yield
    except _driver_errors() as error:
        fault = fault_of(error, connecting=connecting, known=known)
        innermost = list(_causes(error))[-1]
        if fault is None and not isinstance(innermost, _driver_errors()):
            raise innermost from None  # a bug of ours that SQLAlchemy wrapped
        raise _error(fault or UNEXPECTED, database, error) from error


@contextmanager
def translated_files(database: str) -> Iterator[None]:
    """The same for the files beside a SQLite database."""
    try:
        yield
    except OSError as error:
        raise FILE_FAULTS.get(error.errno or 0, UNOPENED).error(database) from error


def _error(fault: Fault, database: str, error: Exception) -> StorageError:
    """Only where the fault's own sentence cannot say it all is the database quoted."""
    if fault.quotes:
        return fault.error(database, said=_said(error), column=_column(error))
    return fault.error(database)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it stands for, outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def _sqlite_fault(error: BaseException) -> Fault | None:
    if not isinstance(error, sqlite3.Error):
        return None
    for words, fault in SQLITE_WORDS.items():
        if words in str(error):
            return fault
    code = getattr(error, "sqlite_errorcode", 0)
    return SQLITE_FAULTS.get(code) or SQLITE_FAULTS.get(code & 0xFF)


def _postgres_fault(error: BaseException, *, connecting: bool) -> Fault | None:
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str):
        return None
    tables = (POSTGRES_CONNECT_FAULTS, POSTGRES_FAULTS) if connecting else (POSTGRES_FAULTS,)
    found = (table.get(state) or table.get(state[:2]) for table in tables)
    return next(filter(None, found), None)


def _says_closed(error: BaseException) -> bool:
    """asyncpg's own word for using a connection that is gone carries no SQLSTATE."""
    return any(word in str(cause) for cause in _causes(error) for word in _CLOSED)


def _said(error: BaseException) -> str:
    """The first line of the database's own message, behind which it may show a whole row."""
    innermost = list(_causes(error))[-1]
    lines = str(innermost).splitlines() or [type(innermost).__name__]
    state = getattr(innermost, "sqlstate", None)
    return (f"[{state}] " if isinstance(state, str) else "") + lines[0][:_LONGEST].rstrip(".")


def _column(error: BaseException) -> str | None:
    """The column that the database complains of, if it names one."""
    for cause in _causes(error):
        named = getattr(cause, "column_name", None)
        if isinstance(named, str):
            return named
        found = _COLUMN.search(f"{cause} {getattr(cause, 'context', None)}")
        if found is not None:
            return str(next(filter(None, found.groups())))
    return None


def _driver_errors() -> tuple[type[Exception], ...]:
    common = (SQLAlchemyError, OSError, sqlite3.Error, UnicodeEncodeError, OverflowError)
    try:
        from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError
    except ImportError:  # PostgreSQL is an extra
        return common
    return (*common, InterfaceError, InternalClientError, PostgresError)
