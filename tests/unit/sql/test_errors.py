"""The table of driver errors."""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kasparro_adapters.sql.errors import fault_of, translated
from kasparro_adapters.sql.faults import POSTGRES_CONNECT_FAULTS, POSTGRES_FAULTS, SQLITE_FAULTS, SQLITE_WORDS
from kasparro_core.errors import PermanentStorageError, StorageError, TransientStorageError, UnstorableError

TRANSIENT, PERMANENT, DATA = TransientStorageError, PermanentStorageError, UnstorableError


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
    (_sqlite(sqlite3.SQLITE_IOERR_NOMEM), TRANSIENT, "out of memory"),
    (_sqlite(sqlite3.SQLITE_ERROR, "no such savepoint: a"), PERMANENT, "RAISE"),
    (asyncpg.ConfigurationLimitExceededError("temp_file_limit"), PERMANENT, "limit of its configuration: .*temp_file"),
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
    (asyncpg.UndefinedColumnError(), PERMANENT, "other columns"),
    (asyncpg.InvalidSQLStatementNameError(), PERMANENT, "pooler"),
    (asyncpg.exceptions.InvalidCachedStatementError(), TRANSIENT, "changed its tables"),
    (asyncpg.OutOfMemoryError(), TRANSIENT, "out of memory"),
    (asyncpg.exceptions.ProtocolViolationError("odd"), TRANSIENT, "closed the connection"),
    (asyncpg.CharacterNotInRepertoireError("invalid byte"), DATA, "cannot hold one of the texts"),
    (asyncpg.UntranslatableCharacterError("unsupported"), DATA, "cannot hold one of the texts"),
    (asyncpg.ProgramLimitExceededError("index row size"), DATA, "has no room"),
    (asyncpg.StringDataRightTruncationError("value too long"), DATA, "has no room"),
    (asyncpg.NumericValueOutOfRangeError("overflow"), DATA, "numbers or times"),
    (asyncpg.DivisionByZeroError("division"), DATA, "does not take"),
    (asyncpg.CheckViolationError("violates"), DATA, "rule of its own"),
    (asyncpg.UniqueViolationError("duplicate"), DATA, "rule of its own"),
    (asyncpg.RaiseError("no"), DATA, "rule of its own"),
    (_sqlite(sqlite3.SQLITE_TOOBIG, "too big"), DATA, "has no room"),
    (_sqlite(sqlite3.SQLITE_MISMATCH, "mismatch"), DATA, "does not take"),
    (_sqlite(sqlite3.SQLITE_CONSTRAINT_CHECK, "failed"), DATA, "rule of its own"),
    (_sqlite(sqlite3.SQLITE_ERROR, "no such column: x"), PERMANENT, "other columns"),
    (_sqlite(sqlite3.SQLITE_SCHEMA), TRANSIENT, "changed its tables"),
    (_sqlite(sqlite3.SQLITE_INTERRUPT), TRANSIENT, "too long"),
    (OverflowError("too large to convert"), DATA, "numbers or times"),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), DATA, "cannot hold one of the texts"),
    (_sqlite(sqlite3.SQLITE_ERROR, 'near "SELEC": syntax error'), PERMANENT, "does not know: near"),
    (asyncpg.PostgresSyntaxError("syntax error"), PERMANENT, r"does not know: \[42601\] syntax error"),
    (asyncpg.InterfaceError("another operation is in progress"), PERMANENT, "does not know"),
    (asyncpg.ProtocolError("odd"), PERMANENT, "does not know"),
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


@pytest.mark.parametrize("error", [ConnectionRefusedError(), asyncpg.ClientCannotConnectError("no route")])
def test_a_server_that_answered_before_may_come_back(error: Exception) -> None:
    """What cannot be reached any more is tried again: it may be starting."""
    with pytest.raises(TransientStorageError, match="any more"), translated("db", connecting=True, known=True):
        raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            asyncpg.exceptions.ProtocolViolationError("unsupported startup parameter: lock_timeout"),
            "lock_timeout.*ignore_",
        ),
        (
            asyncpg.InvalidParameterValueError('invalid value for parameter "timezone"'),
            "settings of a new connection.*zone",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_that_are_refused_stay_refused(error: Exception, words: str) -> None:
    """Before the first statement nothing can be wrong with a row, and what is not understood does not pass."""
    with pytest.raises(PermanentStorageError, match=words) as caught, translated("db", connecting=True):
        raise error
    assert type(caught.value) is PermanentStorageError


@pytest.mark.parametrize(
    "error", [ValueError("a naive datetime"), KeyError("x")], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_programming_errors_pass_as_they_are(error: Exception, *, wrapped: bool) -> None:
    """A Python error is a bug and stays one, also when SQLAlchemy met it while it bound a parameter."""
    with pytest.raises(type(error)) as caught, translated("db"):
        raise StatementError("bad", "SELECT 1", {}, error) if wrapped else error
    assert caught.value is error


def test_a_refused_value_says_what_the_database_said() -> None:
    """The error carries the code of a rejection, the database's own first line and the column, and no row: details of a
    violation show one."""
    refused = asyncpg.NotNullViolationError('null value in column "kind" violates\nDETAIL:  Failing row (1, secret)')
    refused.column_name = "kind"
    with pytest.raises(UnstorableError) as caught, translated("db"):
        raise IntegrityError("INSERT", {}, refused)
    assert (caught.value.code, caught.value.column) == ("constraint_violated", "kind")
    assert caught.value.reason == '[23502] null value in column "kind" violates'
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "column"),
    [
        (_sqlite(sqlite3.SQLITE_CONSTRAINT, "NOT NULL constraint failed: records.kind"), "kind"),
        (_sqlite(sqlite3.SQLITE_CONSTRAINT, "CHECK constraint failed: cheap"), None),
        (asyncpg.NumericValueOutOfRangeError("numeric field overflow"), None),
    ],
)
def test_the_column_is_found_where_it_is_told(error: Exception, column: str | None) -> None:
    """SQLite names it in its message; who does not name one is not guessed at."""
    with pytest.raises(UnstorableError) as caught, translated("db"):
        raise error
    assert caught.value.column == column


def test_every_fault_is_a_sentence() -> None:
    """The texts fit "The database X ... ." and the advice ends with a full stop."""
    tables = (SQLITE_FAULTS, POSTGRES_FAULTS, SQLITE_WORDS, POSTGRES_CONNECT_FAULTS)
    for fault in {fault for table in tables for fault in table.values()}:
        assert fault.what[0].islower()
        assert not fault.what.endswith(".")
        assert fault.hint.endswith(".")


def test_tables_know_their_own_codes() -> None:
    """Looking a code up through an error gives the entry of the table."""
    for code, fault in SQLITE_FAULTS.items():
        assert fault_of(_sqlite(code)) is fault
