"""Every method of every repository under every kind of fault, provoked for real: what leaves is an error of ours."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from port_methods import METHODS, WITHOUT_TABLE, port_methods

from kasparro_adapters.sql import SqlStore
from kasparro_core.errors import (
    ConflictError,
    PermanentStorageError,
    StorageError,
    TransientStorageError,
    UnstorableError,
)
from kasparro_core.ports import UnitOfWork
from kasparro_core.testing.build import SOURCE, bring_in, observe, record, table

Before = Callable[[UnitOfWork, str], Awaitable[None]]
Around = Callable[[str], AbstractAsyncContextManager[Any]]

_TABLES = """
    SELECT string_agg(quote_ident(relname), ', ') FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True)
class Fault:
    """What is done to a unit of work `before` a method of it is called, in what surroundings, and the error that must
    come of it. `at_least` None: of every method that reads or writes a table; else of at least so many of them."""

    name: str
    before: Before
    error: type[StorageError]
    words: str
    at_least: int | None = None
    around: Around = lambda _url: nullcontext()


def _session(work: UnitOfWork) -> Any:
    return work.records._session  # type: ignore[attr-defined]  # the transaction itself, which no port shows


def _sql(*statements: str) -> Before:
    async def run(work: UnitOfWork, _url: str) -> None:
        for statement in statements:
            await _session(work).driver_sql(statement)

    return run


async def _interrupted(work: UnitOfWork, _url: str) -> None:
    """SQLite asks a handler every so many steps whether to go on."""
    await (await _session(work).driver()).set_progress_handler(lambda: 1, 1)


async def _terminated(work: UnitOfWork, url: str) -> None:
    """The server ends the session between two statements."""
    pid = (await _session(work).driver_sql("SELECT pg_backend_pid()")).scalar_one()
    await _elsewhere(url, f"SELECT pg_terminate_backend({pid}, 5000)")


async def _outrun(work: UnitOfWork, url: str) -> None:
    """Somebody else changes every row between this transaction's view and its own change."""
    await _session(work).driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    await work.runs.latest()
    tables = {"change_counter": "last_seq", "leases": "token", "runs": "fetched", "checkpoints": "version",
              "schedules": "spec", "records": "revision"}  # fmt: skip
    await _elsewhere(url, *(f"UPDATE {name} SET {column} = {column}" for name, column in tables.items()))


async def _elsewhere(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@asynccontextmanager
async def _all_locked(url: str) -> AsyncIterator[None]:
    """Another session holds every table."""
    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.execute(f"LOCK TABLE {await other.fetchval(_TABLES)} IN ACCESS EXCLUSIVE MODE")
        yield
    await other.close()


SQLITE = [
    Fault("read-only", _sql("PRAGMA query_only = ON"), PermanentStorageError, "read-only", 20),
    Fault("interrupted", _interrupted, TransientStorageError, "took too long"),
]
POSTGRES = [
    Fault("session ended", _terminated, TransientStorageError, "closed the connection"),
    Fault(
        "lock timeout", _sql("SET LOCAL lock_timeout = '2ms'"), TransientStorageError, "is locked", around=_all_locked
    ),
    Fault(
        "statement timeout",
        _sql("SET LOCAL lock_timeout = 0", "SET LOCAL statement_timeout = '2ms'"),
        TransientStorageError,
        "took too long",
        around=_all_locked,
    ),
    Fault("read-only", _sql("SET TRANSACTION READ ONLY"), PermanentStorageError, "read-only", 20),
    Fault("outrun", _outrun, TransientStorageError, "could not order", 6),
]


def test_the_list_of_methods_is_complete() -> None:
    """Every public method of every repository that hangs off a unit of work is called below: a new one has to be added
    before this passes."""
    assert {name.partition(":")[0] for name in METHODS} == port_methods()


async def _prefill(url: str) -> None:
    """The rows that the methods name, so that there is something to change."""
    store = SqlStore(url)
    async with store.begin() as work:
        await bring_in(work, [record("old")])
        await work.leases.take(SOURCE, "", owner="me", ttl=60, seen=None)
        await METHODS["schedules.put"](work)
        await work.commit()
    await store.close()


async def _outcome(url: str, method: str, before: Before) -> BaseException | None:
    """What leaves the unit of work when the method is called after `before`."""
    store = SqlStore(url)
    try:
        async with store.begin() as work:
            await before(work, url)
            await METHODS[method](work)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is judged
        return error
    finally:
        await store.close()
    return None


async def _judge(url: str, fault: Fault) -> None:
    """Call all methods under the fault, each in a unit of work of its own; then the store goes on as if nothing had
    been."""
    await _prefill(url)
    met, wrong = set(), {}
    async with fault.around(url):
        for method in METHODS.keys() - WITHOUT_TABLE:
            error = await _outcome(url, method, fault.before)
            if type(error) is fault.error and fault.words in str(error):
                met.add(method)
            elif fault.at_least is None or not (error is None or isinstance(error, ConflictError)):
                wrong[method] = error
    assert wrong == {}
    assert len(met) >= (fault.at_least or 0)
    await _goes_on(url)


async def _goes_on(url: str) -> None:
    store = SqlStore(url)
    await observe(store, record("next"))
    assert set(await table(store)) == {"old", "next"}
    await store.close()


@pytest.mark.parametrize("fault", SQLITE, ids=lambda fault: fault.name)
async def test_every_method_on_sqlite(sqlite_url: str, fault: Fault) -> None:
    """A connection that only reads, or is interrupted: no error of a driver leaves any method."""
    await _judge(sqlite_url, fault)


@pytest.mark.postgres
@pytest.mark.parametrize("fault", POSTGRES, ids=lambda fault: fault.name)
async def test_every_method_on_postgres(postgres_url: str, fault: Fault) -> None:
    """A session that the server ends, locks, time limits, a standby, a transaction that is outrun: no error of a driver
    leaves any method."""
    await _judge(postgres_url, fault)


@pytest.mark.postgres
async def test_every_method_without_rights(postgres_url: str) -> None:
    """A user who was granted nothing is told so by each method, and nothing else comes out."""
    role = f"kasparro_{uuid4().hex}"
    await _elsewhere(postgres_url, f"CREATE ROLE {role}")
    fault = Fault("no rights", _sql(f"SET LOCAL ROLE {role}"), PermanentStorageError, "does not permit")
    await _judge(postgres_url, fault)
    await _elsewhere(postgres_url, f"DROP ROLE {role}")


def _damage(url: str) -> None:
    """Everything behind the first page of the file is noise."""
    path = Path(url.removeprefix("sqlite:///"))
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 4096 * 200)


@pytest.mark.parametrize("action", ["read", "write", "revision", "migrate"])
async def test_a_damaged_file_is_said_to_be_damaged(sqlite_url: str, action: str) -> None:
    """Pages that hold noise are a permanent error with what to do, whatever is asked."""
    _damage(sqlite_url)
    store = SqlStore(sqlite_url)
    with pytest.raises(PermanentStorageError, match="is damaged"):
        await _act(store, action)
    await store.close()


async def _act(store: SqlStore, action: str) -> None:
    if action in ("read", "write"):
        async with store.begin(write=action == "write") as work:
            await work.records.count()
    else:
        await getattr(store, action)()


@pytest.mark.parametrize("action", ["read", "write", "revision", "migrate"])
async def test_a_file_that_another_process_keeps_to_itself_is_transient(sqlite_url: str, action: str) -> None:
    """Under an exclusive lock not even readers come in: the error says who can help, and they do as soon as it ends."""
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("UPDATE change_counter SET last_seq = last_seq")
    other.execute("COMMIT")
    store = SqlStore(sqlite_url, lock_wait=0.01)
    with pytest.raises(TransientStorageError, match="locked by another process"):
        await _act(store, action)
    other.close()
    await _act(store, action)
    await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("action", ["read", "write", "revision", "migrate"])
async def test_a_server_without_a_free_connection_is_transient(postgres_url: str, action: str) -> None:
    """A role that may connect once, and has: the next connection is refused as one that may be tried again."""
    role = f"kasparro_{uuid4().hex}"
    await _elsewhere(postgres_url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    url = postgres_url.replace("postgres@", f"{role}@")
    first = await asyncpg.connect(url)
    store = SqlStore(url)
    with pytest.raises(TransientStorageError, match="no connection left"):
        await _act(store, action)
    await first.close()
    await store.close()
    await _elsewhere(postgres_url, f"DROP ROLE {role}")


@pytest.mark.postgres
async def test_a_deadlock_ends_one_of_two_units_of_work(postgres_url: str) -> None:
    """Two writers that wait for each other's lease: one is told that it may try again, the other commits."""
    store = SqlStore(postgres_url)
    async with store.begin() as work:
        leases = [await work.leases.take(SOURCE, name, owner="me", ttl=60, seen=None) for name in ("a", "b")]
        await work.commit()

    async def both(first: int, go: Any, ready: Any) -> None:
        async with store.begin() as work:
            await work.leases.renew(leases[first], ttl=60)
            ready.set()
            await go.wait()
            await work.leases.renew(leases[1 - first], ttl=60)
            await work.commit()

    here, there = asyncio.Event(), asyncio.Event()
    ended = await asyncio.gather(both(0, here, there), both(1, there, here), return_exceptions=True)
    (error,) = [result for result in ended if result is not None]
    assert isinstance(error, TransientStorageError)
    assert "deadlock" in str(error)
    await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("ends", ["left", "raised", "committed", "savepoint"])
async def test_the_end_of_a_unit_of_work_translates_too(postgres_url: str, ends: str) -> None:
    """Rolling back, committing and setting a savepoint over a session that is gone: an error that passes through stays
    what it is, and any other is transient."""
    store = SqlStore(postgres_url)
    expected = LookupError if ends == "raised" else TransientStorageError
    with pytest.raises(expected):
        async with store.begin() as work:
            await bring_in(work, [record("k")])
            await _terminated(work, postgres_url)
            await _end(work, ends)
    assert await table(store) == {}
    await store.close()


async def _end(work: UnitOfWork, ends: str) -> None:
    match ends:
        case "raised":
            raise LookupError("a bug")
        case "committed":
            await work.commit()
        case "savepoint":
            async with work.savepoint():
                pass


@pytest.mark.postgres
async def test_closing_a_store_whose_server_is_gone_is_fine(postgres_url: str) -> None:
    """Sessions that were ended while nobody used them do not make close() fail."""
    store = SqlStore(postgres_url)
    await observe(store, record("k"))
    await _elsewhere(
        postgres_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    await store.close()
    await store.close()


@pytest.mark.postgres
async def test_a_rule_that_is_checked_at_the_commit_is_told_there(postgres_url: str) -> None:
    """A deferred constraint refuses at COMMIT: the unit of work leaves nothing, and its error is of our make."""
    await _elsewhere(
        postgres_url,
        "CREATE TABLE allowed (symbol text PRIMARY KEY)",
        "ALTER TABLE records ADD CONSTRAINT known FOREIGN KEY (symbol) REFERENCES allowed"
        " DEFERRABLE INITIALLY DEFERRED",
    )
    store = SqlStore(postgres_url)
    with pytest.raises(UnstorableError, match="known"):
        await observe(store, record("k", symbol="BTC"))
    assert await table(store) == {}
    await store.close()


@pytest.mark.postgres
async def test_a_table_that_is_altered_under_a_prepared_statement_is_transient(postgres_url: str) -> None:
    """Somebody adds a column while a run is under way: the unit of work is told to try again, and then it works."""
    store = SqlStore(postgres_url)
    await observe(store, record("k"))
    async with store.begin() as work:
        assert await work.records.get(1) is not None
    await _elsewhere(postgres_url, "ALTER TABLE runs ADD COLUMN mine text", "ALTER TABLE records ADD COLUMN mine text")
    errors = 0
    for _ in range(5):
        try:
            await observe(store, record("next"))
        except TransientStorageError as error:
            assert "changed its tables" in str(error)
            errors += 1
    assert set(await table(store)) == {"k", "next"}
    assert errors <= 2
    await store.close()
