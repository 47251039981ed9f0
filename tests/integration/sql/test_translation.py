"""Every method of the store says what its driver's errors mean."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from port_methods import LEASE, METHODS, WITHOUT_TABLE
from sqlalchemy import event

from kasparro_adapters.sql import SqlStore
from kasparro_core.errors import PermanentStorageError, TransientStorageError
from kasparro_core.testing.build import SOURCE, bring_in, later, observe, record, table


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'bare.db').as_posix()}"
    return str(request.getfixturevalue("empty_postgres_url"))


async def test_every_method_translates_what_is_wrong_with_the_database(bare_url: str) -> None:
    """Without tables each method raises the permanent error that says what to do."""
    store = SqlStore(bare_url)
    for name in METHODS.keys() - WITHOUT_TABLE:
        with pytest.raises(PermanentStorageError, match="kasparro migrate"):
            async with store.begin() as work:
                await METHODS[name](work)
                pytest.fail(f"{name} found its table")
    await store.close()


@pytest.mark.postgres
async def test_every_method_translates_a_lost_connection(postgres_url: str) -> None:
    """When the server ends the session under it, each method raises the transient error, and the store goes on."""
    store = SqlStore(postgres_url)
    killer = await asyncpg.connect(postgres_url)
    for name, method in METHODS.items():
        with pytest.raises(TransientStorageError, match="closed the connection"):
            async with store.begin() as work:
                await work.records.count()
                pid = (await work.records._session.driver_sql("SELECT pg_backend_pid()")).scalar_one()
                await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
                await method(work)
                pytest.fail(f"{name} went on without a session")
    await observe(store, record("next"))
    assert list(await table(store)) == ["next"]
    await killer.close()
    await store.close()


@pytest.mark.postgres
async def test_a_commit_that_loses_its_connection_is_transient(postgres_url: str) -> None:
    """COMMIT itself translates, and nothing of the unit of work stays when the session was gone before."""
    store = SqlStore(postgres_url)
    killer = await asyncpg.connect(postgres_url)
    with pytest.raises(TransientStorageError):
        async with store.begin() as work:
            await bring_in(work, [record("k")])
            pid = (await work.records._session.driver_sql("SELECT pg_backend_pid()")).scalar_one()
            await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await work.commit()
    assert await table(store) == {}
    await killer.close()
    await store.close()


async def test_a_failed_statement_ends_the_unit_of_work(database_url: str) -> None:
    """Swallowing an error inside a unit of work does not save half of it: nothing runs and nothing commits."""
    store = SqlStore(database_url)
    async with store.begin() as work:
        await bring_in(work, [record("k")])
        with pytest.raises(Exception, match=r"(?i)null"):
            await bring_in(work, [record("bad", kind=None)])  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="a statement of it failed"):
            await work.records.count()
        with pytest.raises(RuntimeError, match="a statement of it failed"):
            await work.commit()
    assert await table(store) == {}
    await store.close()


async def test_nothing_runs_after_the_commit(database_url: str) -> None:
    """A unit of work is one transaction: it does not silently begin another."""
    store = SqlStore(database_url)
    async with store.begin() as work:
        await work.commit()
        with pytest.raises(RuntimeError, match="committed"):
            await work.records.count()
        with pytest.raises(RuntimeError, match="committed"):
            await work.commit()
    with pytest.raises(RuntimeError, match="over"):
        await work.records.count()
    await store.close()


async def test_a_locked_sqlite_file_is_transient(sqlite_url: str) -> None:
    """Another process that writes makes begin() wait, then fail clearly; readers are not concerned."""
    store = SqlStore(sqlite_url, lock_wait=0.05)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientStorageError, match="locked by another process"):
        async with store.begin():
            pass
    assert await table(store) == {}
    other.execute("ROLLBACK")
    other.close()
    await observe(store, record("k"))
    await store.close()


@pytest.mark.postgres
async def test_a_row_that_stays_locked_is_transient(postgres_url: str) -> None:
    """A writer that waits longer than lock_wait for another one fails clearly and leaves the other alone."""
    store = SqlStore(postgres_url, lock_wait=0.05)
    async with store.begin() as work:
        await work.leases.take(SOURCE, "", owner="me", ttl=60, seen=None)
        await work.commit()
    async with store.begin() as first:
        lease = await first.leases.renew(LEASE, ttl=60)
        with pytest.raises(TransientStorageError, match="locked"):
            async with store.begin() as second:
                await second.leases.renew(lease, ttl=60)
        await first.commit()
    await store.close()


async def test_a_full_sqlite_disk_is_permanent_and_leaves_nothing_half_written(sqlite_url: str) -> None:
    """A batch that does not fit is rolled back whole; with room again the same batch goes in."""
    store = SqlStore(sqlite_url)
    limit = ["PRAGMA max_page_count = 60"]

    @event.listens_for(store._database._writer.sync_engine, "begin", insert=True)  # type: ignore[attr-defined]
    def _limit(connection: Any) -> None:
        connection.exec_driver_sql(limit[0])

    await observe(store, record("before"))
    big = [record(f"k{n}", title="x" * 1000) for n in range(500)]
    with pytest.raises(PermanentStorageError, match="no disk space left"):
        await observe(store, *big, seen=later(1))
    assert list(await table(store)) == ["before"]
    limit[0] = "PRAGMA max_page_count = 100000"
    assert (await observe(store, *big, seen=later(1))).inserted == 500
    await store.close()


@pytest.mark.parametrize("action", ["begin", "migrate"])
async def test_a_file_that_is_no_database_is_permanent(tmp_path: Path, action: str) -> None:
    """Pointing the URL at some other file says so and leaves the file as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 1000)
    store = SqlStore(f"sqlite:///{path.as_posix()}")
    with pytest.raises(PermanentStorageError, match="not a SQLite database"):
        if action == "migrate":
            await store.migrate()
        async with store.begin():
            pass
    await store.close()
    assert path.read_text() == "not a database, " * 1000


async def test_a_missing_directory_is_permanent(tmp_path: Path) -> None:
    """SQLite makes files, not directories."""
    store = SqlStore(f"sqlite:///{(tmp_path / 'no' / 'such' / 'k.db').as_posix()}")
    with pytest.raises(PermanentStorageError, match="cannot be opened"):
        await store.migrate()
    await store.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write read-only files")
async def test_a_read_only_file_is_permanent(sqlite_url: str) -> None:
    """A file without write permission is named as such."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.chmod(0o444)
    path.parent.chmod(0o555)
    store = SqlStore(sqlite_url)
    with pytest.raises(PermanentStorageError, match="read-only"):
        await observe(store, record("k"))
    await store.close()
    path.parent.chmod(0o755)


@pytest.mark.postgres
async def test_a_read_only_server_is_permanent(postgres_url: str) -> None:
    """A standby (or a database made read-only) refuses the first write with one sentence."""
    admin = await asyncpg.connect(postgres_url)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await admin.close()
    store = SqlStore(postgres_url)
    with pytest.raises(PermanentStorageError, match="read-only"):
        await observe(store, record("k"))
    await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("action", ["begin", "migrate", "revision"])
async def test_a_wrong_database_or_user_is_permanent(postgres_url: str, action: str) -> None:
    """A database that does not exist and a login that is refused are named, without the password."""
    base = postgres_url.rsplit("/", 1)[0]
    urls = {
        "does not exist": f"{base}/no_such_database",
        "refused the login": postgres_url.replace("postgres@", "nobody_here:hunter2@"),
    }
    for words, url in urls.items():
        store = SqlStore(url)
        with pytest.raises(PermanentStorageError, match=words) as caught:
            await _do(store, action)
        assert "hunter2" not in str(caught.value)
        await store.close()


@pytest.mark.parametrize("action", ["begin", "migrate", "revision"])
async def test_an_unreachable_server_is_permanent(action: str) -> None:
    """A port where nobody listens is one sentence with the host, without the password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = SqlStore(f"postgresql://kasparro:hunter2@127.0.0.1:{port}/db")
    with pytest.raises(PermanentStorageError, match=f"127.0.0.1:{port}/db cannot be reached") as caught:
        await _do(store, action)
    assert "hunter2" not in str(caught.value)
    await store.close()


async def _do(store: SqlStore, action: str) -> None:
    if action == "begin":
        async with store.begin():
            pass
    else:
        await getattr(store, action)()


@pytest.mark.postgres
async def test_cancelling_a_bulk_write_leaves_the_store_usable(postgres_url: str) -> None:
    """A COPY that is cut off in the middle rolls back, and its connection serves no one else in that state."""
    store = SqlStore(postgres_url)
    other, watcher = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("LOCK TABLE records IN SHARE MODE")
        writing = asyncio.create_task(observe(store, *(record(f"k{n}") for n in range(1000))))
        while not await watcher.fetchval(_COPY_WAITS):
            assert not writing.done(), "the write was over before it was seen"
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    await other.close()
    await watcher.close()
    assert await table(store) == {}
    await observe(store, record("next"))
    assert list(await table(store)) == ["next"]
    await store.close()


_COPY_WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%' AND wait_event_type = 'Lock')"
