"""What a database may answer instead of a result, as data: SQLite by result code, PostgreSQL by SQLSTATE."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

from kasparro_core.errors import PermanentStorageError, StorageError, TransientStorageError, UnstorableError


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong (completes "the database X ..."), what to do, and the kind of error that says so. `quotes`: the
    database's own words say the rest."""

    what: str
    hint: str
    kind: type[StorageError] = PermanentStorageError
    code: str | None = None
    quotes: bool = False

    def error(self, database: str, *, said: str = "", column: str | None = None) -> StorageError:
        """The error to raise. `database` is a name without secrets, `said` the database's own words, `column` the one
        that it complained of, where it told."""
        words = f"{self.what}: {said}" if said else self.what
        message = f"The database {database} {words}."
        if self.kind is UnstorableError:
            return UnstorableError(message, code=self.code, reason=said or self.what, column=column, hint=self.hint)
        return self.kind(message, code=self.code, hint=self.hint)


def _passing(what: str, hint: str = "Nothing was written; try again.") -> Fault:
    return Fault(what, hint, TransientStorageError)


def _of_data(code: str, what: str, hint: str) -> Fault:
    return Fault(what, hint, UnstorableError, code, quotes=True)


BUSY = _passing("is locked by another process", "Let it finish or stop it, then try again.")
LOST = _passing("closed the connection")
AWAY = _passing("cannot be reached any more", "Nothing was written; try again when its server runs.")
DEADLOCK = _passing("ended the transaction because of a deadlock")
SERIALIZATION = _passing("could not order this transaction among the others")
CANCELED = _passing("stopped a statement that took too long")
STARTING = _passing("is starting up or shutting down", "Try again in a moment.")
CROWDED = _passing("has no connection left", "Try again, or raise its connection limit.")
MEMORY = _passing("is out of memory", "Try again when the server has memory left.")
ALTERED = _passing("changed its tables while they were being used")

READ_ONLY = Fault("is read-only", "Make the file and its directory writable, or use the primary server.")
FULL = Fault("has no disk space left", "Free some space and run again: it goes on where it stopped.")
UNOPENED = Fault("cannot be opened", "Check that its directory exists and may be read and written.")
CORRUPT = Fault("is damaged", "Restore it from a backup.")
NO_DATABASE = Fault("is not a SQLite database", "Name another file in the database URL.")
DISK = Fault("could not be read or written by the operating system", "Check the disk.")
UNREACHABLE = Fault("cannot be reached", "Check host and port in the database URL, and that the server runs.")
REFUSED = Fault("refused the login", "Check user and password in the database URL.")
MISSING = Fault("does not exist", "Create it, or correct its name in the database URL.")
FORBIDDEN = Fault("does not permit this to its user", "Grant the user the rights on the tables.")
NO_TABLES = Fault("does not have the tables of this program", "Run `kasparro migrate`.")
OTHER_TABLES = Fault("has other columns than this program expects", "Give the tables back the columns they had.")
SETTINGS = Fault(
    "refused the settings of a new connection", "Look for them in its configuration and its URL.", quotes=True
)
POOLER = Fault(
    "refused a new connection, as a connection pooler does that does not know one of its settings",
    "With PgBouncer, set ignore_startup_parameters = lock_timeout, idle_in_transaction_session_timeout, "
    "default_transaction_read_only, enable_bitmapscan in its configuration.",
    quotes=True,
)
LIMITED = Fault("came to a limit of its configuration", "Raise the limit that it names.", quotes=True)
POOLED = Fault(
    "lost a prepared statement, as it happens behind a connection pooler",
    "Add statement_cache_size=0 and prepared_statement_cache_size=0 to the database URL.",
)
UNDONE = Fault(
    "undid the whole transaction by a trigger of its own, so that the other rows could not be kept",
    "Let the triggers of its tables use RAISE(ABORT), and not RAISE(ROLLBACK).",
)
UNEXPECTED = Fault(
    "answered with an error that this program does not know",
    "Nothing was written. Please report it.",
    code="storage_unexpected",
    quotes=True,
)

UNSTORABLE = _of_data("text_unstorable", "cannot hold one of the texts", "It has a NUL character or half a character.")
TOO_LONG = _of_data("value_too_long", "has no room for one of the values", "It is too long for its column or an index.")
OUT_OF_RANGE = _of_data("value_out_of_range", "cannot hold one of the numbers or times", "It is beyond its column.")
UNFIT = _of_data("value_refused", "does not take one of the values", "Its column has another type.")
FORBIDDEN_ROW = _of_data(
    "constraint_violated", "refused a row by a rule of its own", "See the constraints and triggers of its tables."
)

SQLITE_FAULTS = {
    sqlite3.SQLITE_PERM: UNOPENED,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_NOMEM: MEMORY,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_INTERRUPT: CANCELED,
    sqlite3.SQLITE_IOERR: DISK,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: UNOPENED,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_SCHEMA: ALTERED,
    sqlite3.SQLITE_TOOBIG: TOO_LONG,
    sqlite3.SQLITE_CONSTRAINT: FORBIDDEN_ROW,
    sqlite3.SQLITE_MISMATCH: UNFIT,
    sqlite3.SQLITE_NOTADB: NO_DATABASE,
    sqlite3.SQLITE_IOERR_NOMEM: MEMORY,
}
"""By extended result code, or by the primary one (its low byte) where all of them mean the same."""

SQLITE_WORDS = {
    "no such table": NO_TABLES,
    "no such column": OTHER_TABLES,
    "has no column named": OTHER_TABLES,
    "no such savepoint": UNDONE,
}
"""What SQLite says under its general code SQLITE_ERROR alone."""

POSTGRES_FAULTS = {
    "08": LOST,
    "08001": UNREACHABLE,
    "08004": UNREACHABLE,
    "0A000": ALTERED,
    "22": UNFIT,
    "22001": TOO_LONG,
    "22003": OUT_OF_RANGE,
    "22008": OUT_OF_RANGE,
    "22021": UNSTORABLE,
    "22P05": UNSTORABLE,
    "23": FORBIDDEN_ROW,
    "25006": READ_ONLY,
    "25P03": LOST,
    "25P04": CANCELED,
    "26000": POOLED,
    "28": REFUSED,
    "3D000": MISSING,
    "3F000": NO_TABLES,
    "40": SERIALIZATION,
    "40002": FORBIDDEN_ROW,
    "40003": LOST,
    "40P01": DEADLOCK,
    "42501": FORBIDDEN,
    "42703": OTHER_TABLES,
    "42804": OTHER_TABLES,
    "42P01": NO_TABLES,
    "42P05": POOLED,
    "44": FORBIDDEN_ROW,
    "53": MEMORY,
    "53100": FULL,
    "53300": CROWDED,
    "53400": LIMITED,
    "54000": TOO_LONG,
    "55P03": BUSY,
    "57014": CANCELED,
    "57P01": LOST,
    "57P02": LOST,
    "57P03": STARTING,
    "57P04": MISSING,
    "57P05": LOST,
    "58": DISK,
    "58P01": CORRUPT,
    "P0001": FORBIDDEN_ROW,
    "XX001": CORRUPT,
    "XX002": CORRUPT,
}
"""By SQLSTATE, or by its class (the first two characters) where the whole class means the same."""

POSTGRES_CONNECT_FAULTS = {"08P01": POOLER, "22": SETTINGS}
"""What means something else before the first statement."""

PYTHON_FAULTS: dict[type[BaseException], Fault] = {UnicodeEncodeError: UNSTORABLE, OverflowError: OUT_OF_RANGE}
"""What a driver raises when it cannot even send a value."""

FILE_FAULTS = {errno.ENOSPC: FULL, errno.EROFS: READ_ONLY, errno.EACCES: READ_ONLY, errno.EPERM: READ_ONLY}
"""What the operating system says of the files beside a SQLite database."""
