"""The table of driver errors."""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kasparro_adapters.sql.errors import POSTGRES_FAULTS, SQLITE_FAULTS, fault_of, translated
from kasparro_core.errors import PermanentStorageError, StorageError, TransientStorageError

TRANSIENT, PERMANENT = TransientStorageError, PermanentStorageError


def _sqlite(code: int, text: str = "") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def _wrapped(error: Exception) -> OperationalError:
    return OperationalError("SELECT 1", {}, error)


CASES = [
    (_sqlite(sqlite3.SQLITE_BUSY), TRANSIENT, "locked"),
    (_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), TRANSIENT, "locked"),
    (_sqlite(sqlite3.SQLITE_LOCKED), TRANSIENT, "locked"),
    (_sqlite(sqlite3.SQLITE_FULL), PERMANENT, "no disk space"),
    (_sqlite(sqlite3.SQLITE_READONLY), PERMANENT, "read-only"),
    (_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), PERMANENT, "read-only"),
    (_sqlite(sqlite3.SQLITE_CANTOPEN), PERMANENT, "cannot be opened"),
    (_sqlite(sqlite3.SQLITE_CORRUPT), PERMANENT, "damaged"),
    (_sqlite(sqlite3.SQLITE_NOTADB), PERMANENT, "not a SQLite database"),
    (_sqlite(sqlite3.SQLITE_IOERR_WRITE), PERMANENT, "operating system"),
    (_sqlite(sqlite3.SQLITE_ERROR, "no such table: runs"), PERMANENT, "kasparro migrate"),
    (asyncpg.LockNotAvailableError(), TRANSIENT, "locked"),
    (asyncpg.DeadlockDetectedError(), TRANSIENT, "deadlock"),
    (asyncpg.SerializationError(), TRANSIENT, "order"),
    (asyncpg.ConnectionDoesNotExistError(), TRANSIENT, "closed the connection"),
    (asyncpg.AdminShutdownError(), TRANSIENT, "closed the connection"),
    (asyncpg.IdleInTransactionSessionTimeoutError(), TRANSIENT, "closed the connection"),
    (asyncpg.InterfaceError("connection is closed"), TRANSIENT, "closed the connection"),
    (asyncpg.CannotConnectNowError(), TRANSIENT, "starting"),
    (asyncpg.TooManyConnectionsError(), TRANSIENT, "no connection left"),
    (asyncpg.QueryCanceledError(), TRANSIENT, "too long"),
    (asyncpg.ReadOnlySQLTransactionError(), PERMANENT, "read-only"),
    (asyncpg.DiskFullError(), PERMANENT, "no disk space"),
    (asyncpg.InvalidPasswordError(), PERMANENT, "refused the login"),
    (asyncpg.InvalidAuthorizationSpecificationError(), PERMANENT, "refused the login"),
    (asyncpg.InvalidCatalogNameError(), PERMANENT, "does not exist"),
    (asyncpg.InsufficientPrivilegeError(), PERMANENT, "permit"),
    (asyncpg.UndefinedTableError(), PERMANENT, "kasparro migrate"),
    (asyncpg.DataCorruptedError(), PERMANENT, "damaged"),
    (asyncpg.CharacterNotInRepertoireError(), PERMANENT, "cannot hold"),
    (asyncpg.ProgramLimitExceededError(), PERMANENT, "cannot hold"),
    (PoolTimeoutError(), TRANSIENT, "no connection left"),
    (ConnectionResetError(), TRANSIENT, "closed the connection"),
]


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize(("error", "kind", "words"), CASES, ids=lambda value: type(value).__name__)
def test_translates(error: Exception, kind: type[StorageError], words: str, *, wrap: bool) -> None:
    """Each fault has its kind and sentence, names the database and keeps its cause, wrapped by SQLAlchemy or not."""
    raised = _wrapped(error) if wrap and not isinstance(error, PoolTimeoutError) else error
    with pytest.raises(kind, match=words) as caught, translated("postgresql://u@host/db"):
        raise raised
    assert "postgresql://u@host/db" in str(caught.value)
    assert caught.value.__cause__ is raised
    assert caught.value.hint


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), OSError("name or service not known")])
def test_a_server_that_does_not_answer_cannot_be_reached(error: OSError) -> None:
    """Before the first statement the network's errors mean a wrong address, afterwards a lost connection."""
    with pytest.raises(PermanentStorageError, match="cannot be reached"), translated("db", connecting=True):
        raise error
    with pytest.raises(TransientStorageError, match="closed the connection"), translated("db"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.IntegrityError("NOT NULL constraint failed"),
        IntegrityError("INSERT", {}, asyncpg.UniqueViolationError("duplicate key")),
        _sqlite(sqlite3.SQLITE_ERROR, 'near "SELEC": syntax error'),
        asyncpg.PostgresSyntaxError("syntax error"),
        ValueError("a naive datetime"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_programming_errors_pass_as_they_are(error: Exception) -> None:
    """A constraint, a syntax error or a Python error is a bug and stays one."""
    with pytest.raises(type(error)) as caught, translated("db"):
        raise error
    assert caught.value is error


def test_every_fault_is_a_sentence() -> None:
    """The texts fit "The database X ... ." and the advice ends with a full stop."""
    for fault in {*SQLITE_FAULTS.values(), *POSTGRES_FAULTS.values()}:
        assert fault.what[0].islower()
        assert not fault.what.endswith(".")
        assert fault.hint.endswith(".")


def test_tables_know_their_own_codes() -> None:
    """Looking a code up through an error gives the entry of the table."""
    for code, fault in SQLITE_FAULTS.items():
        assert fault_of(_sqlite(code)) is fault
