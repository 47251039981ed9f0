"""Driver errors become StorageErrors here and nowhere else.

SQLite is judged by its primary result code, PostgreSQL by SQLSTATE, both by the tables below. What neither table knows
(a constraint, a mistake in SQL) is a programming error and passes as it is.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kasparro_core.errors import PermanentStorageError, StorageError, TransientStorageError


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong (completes "the database X ..."), what to do, and whether trying again may help."""

    what: str
    hint: str
    transient: bool = False

    def error(self, database: str) -> StorageError:
        """The error to raise; `database` is a name without secrets."""
        kind = TransientStorageError if self.transient else PermanentStorageError
        return kind(f"The database {database} {self.what}.", hint=self.hint)


_AGAIN = "Nothing was written; try again."

BUSY = Fault("is locked by another process", "Let it finish or stop it, then try again.", transient=True)
LOST = Fault("closed the connection", _AGAIN, transient=True)
DEADLOCK = Fault("ended the transaction because of a deadlock", _AGAIN, transient=True)
SERIALIZATION = Fault("could not order this transaction among the others", _AGAIN, transient=True)
CANCELED = Fault("stopped a statement that took too long", _AGAIN, transient=True)
STARTING = Fault("is starting up or shutting down", "Try again in a moment.", transient=True)
CROWDED = Fault("has no connection left", "Try again, or raise its connection limit.", transient=True)
MEMORY = Fault("is out of memory", "Try again when the server has memory left.", transient=True)

READ_ONLY = Fault("is read-only", "Make the file and its directory writable, or use the primary server.")
FULL = Fault("has no disk space left", "Free some space and run again: it goes on where it stopped.")
UNOPENED = Fault("cannot be opened", "Check that its directory exists and may be read and written.")
CORRUPT = Fault("is damaged", "Restore it from a backup.")
NO_DATABASE = Fault("is not a SQLite database", "Name another file in the database URL.")
DISK = Fault("could not be read or written by the operating system", "Check the disk.")
UNREACHABLE = Fault("cannot be reached", "Check host and port in the database URL, and that the server runs.")
REFUSED = Fault("refused the login", "Check user and password in the database URL.")
UNSTORABLE = Fault("cannot hold one of the texts", "It has a NUL character or is too long for an index.")
MISSING = Fault("does not exist", "Create it, or correct its name in the database URL.")
FORBIDDEN = Fault("does not permit this to its user", "Grant the user the rights on the tables.")
NO_TABLES = Fault("does not have the tables of this program", "Run `kasparro migrate`.")

SQLITE_FAULTS = {
    sqlite3.SQLITE_PERM: UNOPENED,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_NOMEM: MEMORY,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_IOERR: DISK,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: UNOPENED,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_NOTADB: NO_DATABASE,
}
"""By primary result code (the low byte of the extended one)."""

POSTGRES_FAULTS = {
    "08": LOST,
    "08001": UNREACHABLE,
    "08004": UNREACHABLE,
    "22021": UNSTORABLE,
    "22P05": UNSTORABLE,
    "25006": READ_ONLY,
    "25P03": LOST,
    "28": REFUSED,
    "3D000": MISSING,
    "3F000": NO_TABLES,
    "40001": SERIALIZATION,
    "40P01": DEADLOCK,
    "42501": FORBIDDEN,
    "42P01": NO_TABLES,
    "53100": FULL,
    "53200": MEMORY,
    "53300": CROWDED,
    "54000": UNSTORABLE,
    "55P03": BUSY,
    "57014": CANCELED,
    "57P01": LOST,
    "57P02": LOST,
    "57P03": STARTING,
    "57P04": MISSING,
    "57P05": LOST,
    "58030": DISK,
    "XX001": CORRUPT,
    "XX002": CORRUPT,
}
"""By SQLSTATE, or by its class (the first two characters) where the whole class means the same."""

_FILE_FAULTS = {errno.ENOSPC: FULL, errno.EROFS: READ_ONLY, errno.EACCES: READ_ONLY, errno.EPERM: READ_ONLY}
_CLOSED = ("connection is closed", "connection was closed")
_NO_SUCH_TABLE = re.compile(r"no such table: \w+")


def fault_of(error: BaseException, *, connecting: bool = False) -> Fault | None:
    """What a driver's error means, or None when it is not the database's fault. `connecting`: before any statement."""
    if isinstance(error, PoolTimeoutError):
        return CROWDED
    for cause in _causes(error):
        fault = _sqlite_fault(cause) or _postgres_fault(cause)
        if fault is not None:
            return fault
        if isinstance(cause, OSError):  # TimeoutError is one
            return UNREACHABLE if connecting else LOST
    if getattr(error, "connection_invalidated", False) or _says_closed(error):
        return LOST
    return None


@contextmanager
def translated(database: str, *, connecting: bool = False) -> Iterator[None]:
    """Raise what the body's driver errors mean, chained to them."""
    try:
        yield
    except _driver_errors() as error:
        fault = fault_of(error, connecting=connecting)
        if fault is None:
            raise
        raise fault.error(database) from error


@contextmanager
def translated_files(database: str) -> Iterator[None]:
    """The same for the files beside a SQLite database."""
    try:
        yield
    except OSError as error:
        raise _FILE_FAULTS.get(error.errno or 0, UNOPENED).error(database) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it stands for, outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def _sqlite_fault(error: BaseException) -> Fault | None:
    if not isinstance(error, sqlite3.Error):
        return None
    if _NO_SUCH_TABLE.search(str(error)):
        return NO_TABLES
    return SQLITE_FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)


def _postgres_fault(error: BaseException) -> Fault | None:
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str):
        return None
    return POSTGRES_FAULTS.get(state) or POSTGRES_FAULTS.get(state[:2])


def _says_closed(error: BaseException) -> bool:
    """asyncpg's own word for using a connection that is gone carries no SQLSTATE."""
    return any(word in str(cause) for cause in _causes(error) for word in _CLOSED)


def _driver_errors() -> tuple[type[Exception], ...]:
    try:
        from asyncpg.exceptions import InterfaceError, PostgresError
    except ImportError:  # PostgreSQL is an extra
        return (SQLAlchemyError, OSError, sqlite3.Error)
    return (SQLAlchemyError, OSError, sqlite3.Error, InterfaceError, PostgresError)
