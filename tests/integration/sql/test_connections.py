"""How connections are set up, and what the tables look like to somebody with an SQL prompt."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from kasparro_adapters.sql import SqlStore, postgres
from kasparro_core.errors import TransientStorageError
from kasparro_core.model import Rejection, RejectionQuery, Stage
from kasparro_core.testing.build import SOURCE, later, observe, record


async def _ask(store: SqlStore, sql: str, *, write: bool) -> Any:
    async with store.begin(write=write) as work:
        return (await work.records._session.driver_sql(sql)).scalar_one()


async def test_sqlite_commits_survive_a_power_cut_and_stay_small(sqlite_url: str) -> None:
    """WAL with a sync per commit, a page cache of at most 32 MiB, 30 s of patience, readers that cannot write."""
    store = SqlStore(sqlite_url)
    wanted = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "foreign_keys": 1, "query_only": 0}
    assert {name: await _ask(store, f"PRAGMA {name}", write=True) for name in wanted} == wanted
    assert -32 * 1024 <= await _ask(store, "PRAGMA cache_size", write=True) < 0
    assert await _ask(store, "PRAGMA query_only", write=False) == 1
    await store.close()


@pytest.mark.postgres
async def test_postgres_sessions_are_bounded_and_named(postgres_url: str) -> None:
    """Writers wait 20 s for locks and may idle 30 s in a transaction, both below a lease; readers may idle longer."""
    store = SqlStore(postgres_url)
    wanted = {"lock_timeout": "20s", "idle_in_transaction_session_timeout": "30s", "application_name": "kasparro"}
    assert {name: await _ask(store, f"SHOW {name}", write=True) for name in wanted} == wanted
    assert await _ask(store, "SHOW idle_in_transaction_session_timeout", write=False) == "0"
    assert await _ask(store, "SHOW transaction_read_only", write=False) == "on"
    await store.close()


async def test_a_reader_sees_one_state(database_url: str) -> None:
    """What is committed while a reader is open is not in its later answers."""
    store = SqlStore(database_url)
    async with store.begin(write=False) as reader:
        before = await reader.records.count()
        await observe(store, record("k"))
        assert await reader.records.count() == before
    await store.close()


async def test_more_tasks_than_connections_take_turns(database_url: str) -> None:
    """Fifty readers and writers at once all come through."""
    store = SqlStore(database_url)

    async def read() -> int:
        async with store.begin(write=False) as work:
            return await work.records.count()

    await asyncio.gather(*(read() for _ in range(40)), *(observe(store, record(f"k{n}")) for n in range(10)))
    assert await read() == 10
    await store.close()


@pytest.mark.postgres
async def test_three_processes_fit_into_a_server(postgres_url: str) -> None:
    """All connections of three processes, their handles' too, are fewer than the 97 that a PostgreSQL gives to users
    unless it is told otherwise."""
    store = SqlStore(postgres_url)
    database = store._database
    pools: list[Any] = [database._writer.pool, database._reader.pool]  # type: ignore[attr-defined]
    most = sum(pool.size() + pool._max_overflow for pool in pools)
    await store.close()
    assert 3 * (most + 1) <= 97


@pytest.mark.postgres
async def test_a_reader_that_finds_no_connection_is_told_so(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every connection lent out a further reader is refused as one who may try again, and writers do not notice;
    with one given back it is served."""
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(postgres, "_POOL", {"pool_size": 1, "max_overflow": 0})
    store = SqlStore(postgres_url)
    async with store.begin(write=False):
        with pytest.raises(TransientStorageError, match="no connection left"):
            await _ask(store, "SELECT 1", write=False)
        assert await _ask(store, "SELECT 1", write=True) == 1
    assert await _ask(store, "SELECT 1", write=False) == 1
    await store.close()


@pytest.mark.postgres
async def test_postgres_tables_speak_sql(postgres_url: str) -> None:
    """Values are NUMERIC, times timestamptz, attributes JSONB."""
    store = SqlStore(postgres_url)
    exact = Decimal("12345678901234567890.123456789012345678901234567890")
    twice = Decimal("24691357802469135780.246913578024691357802469135780")
    await observe(store, record("k", value=exact, occurred_at=later(0), attributes={"rank": 7, "v": exact}))
    await store.close()
    connection = await asyncpg.connect(postgres_url)
    row = await connection.fetchrow(
        "SELECT value * 2 AS twice, occurred_at, attributes ->> 'rank' AS rank, (attributes ->> 'v')::numeric AS v,"
        " pg_typeof(attributes)::text AS kind FROM records"
    )
    await connection.close()
    assert dict(row) == {"twice": twice, "occurred_at": later(0), "rank": "7", "v": exact, "kind": "jsonb"}


async def test_sqlite_tables_speak_sql(sqlite_url: str) -> None:
    """Values are exact text with a twin that sorts them, times text that sorts and that SQLite's functions read."""
    store = SqlStore(sqlite_url)
    texts = ["-2", "-0.5", "0", "0.1000000000000000055511151231257827", "9", "10", "1E+3"]
    await observe(store, *(record(text, value=Decimal(text), occurred_at=later(0)) for text in reversed(texts)))
    await store.close()
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    rows = connection.execute("SELECT key, value FROM records ORDER BY value_order").fetchall()
    (moment,) = connection.execute("SELECT DISTINCT occurred_at FROM records").fetchone()
    (year,) = connection.execute("SELECT strftime('%Y', occurred_at) FROM records").fetchone()
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT key FROM records ORDER BY value_order").fetchall()
    connection.close()
    assert [row[0] for row in rows] == texts
    assert rows[-1][1] == "1000"
    assert (moment, year) == ("2026-01-02T03:04:05.678901Z", "2026")
    assert "ix_records_value_order" in str(plan)


async def test_leases_go_by_the_clock_of_the_database(database_url: str) -> None:
    """Expiry is the database's present plus the ttl, not anything the caller said."""
    store = SqlStore(database_url)
    async with store.begin() as work:
        lease = await work.leases.take(SOURCE, "", owner="me", ttl=60.5, seen=None)
        gone = await work.leases.take(SOURCE, "p", owner="me", ttl=-0.001, seen=None)
        session = work.records._session
        sql = (
            "SELECT (julianday(expires_at) - julianday('now')) * 86400 FROM leases WHERE partition = ''"
            if session.dialect == "sqlite"
            else "SELECT extract(epoch FROM expires_at - clock_timestamp())::float FROM leases WHERE partition = ''"
        )
        assert 50 < (await session.driver_sql(sql)).scalar_one() <= 60.6
        assert lease.expires_at > gone.expires_at
        found = await work.leases.get(SOURCE, "p")
        assert found is not None
        assert found.expired
        assert (await work.leases.get(SOURCE, "")) == lease
        await work.commit()
    await store.close()


async def test_rejections_with_impossible_characters_are_kept(database_url: str) -> None:
    """An item refused for a NUL or a lone surrogate can itself be stored, and is the same one when it comes again."""
    store = SqlStore(database_url)
    odd = Rejection(Stage.NORMALIZE, "text_invalid", "na\0me", "found '\ud800'", {"name": "a\0b\ud800"}, 3, key="k\0")
    for _ in range(2):
        async with store.begin() as work:
            await work.rejections.add(SOURCE, "", 1, None, [odd], later(0))
            await work.commit()
    async with store.begin() as work:
        (kept,) = await work.rejections.list(RejectionQuery())
        assert (kept.times, kept.payload) == (2, '{"name":"a\\u0000b\\ud800"}')
        assert (kept.path, kept.message) == ("na\N{REPLACEMENT CHARACTER}me", "found '\N{REPLACEMENT CHARACTER}'")
        assert await work.rejections.resolve(SOURCE, ["k\0"], later(0)) == 1
    await store.close()
