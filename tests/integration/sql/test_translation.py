"""Every method of the store says what its driver's errors mean."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from kasparro_adapters.sql import SqlStore
from kasparro_core.errors import PermanentStorageError, TransientStorageError
from kasparro_core.model import (
    ApiKey,
    BatchRead,
    Bound,
    Counters,
    EntityQuery,
    Event,
    EventType,
    FindingQuery,
    GivenAnswer,
    Lease,
    Metric,
    PartitionState,
    Prunable,
    RecordQuery,
    RejectionQuery,
    RunQuery,
    RunStatus,
    ScheduleState,
    Scope,
    Slot,
    SlotState,
    Trigger,
    Validator,
)
from kasparro_core.ports import UnitOfWork
from kasparro_core.testing.build import SOURCE, bring_in, later, observe, payload, record, rejection, table

_LEASE = Lease(SOURCE, "", "me", 1, None, later(60))
_SCHEDULE = ScheduleState(SOURCE, "every 5m", later(0), later(0))
_BOUND = Bound(before=later(0))

METHODS: dict[str, Callable[[UnitOfWork], Awaitable[Any]]] = {
    "records.upsert": lambda work: bring_in(work, [record("k")]),
    "records.get": lambda work: work.records.get(1),
    "records.page": lambda work: work.records.page(RecordQuery()),
    "records.versions": lambda work: work.records.versions(1),
    "records.select": lambda work: work.records.select(RecordQuery()),
    "records.changes": lambda work: work.records.changes(RecordQuery(), after_seq=0),
    "records.last_change": lambda work: work.records.last_change(),
    "records.count": lambda work: work.records.count(),
    "records.estimate": lambda work: work.records.estimate(RecordQuery(source=SOURCE)),
    "raw.put": lambda work: work.raw.put(SOURCE, "", payload("x")),
    "raw.get": lambda work: work.raw.get(1),
    "runs.start": lambda work: work.runs.start(SOURCE, Trigger.CLI, later(0)),
    "runs.add": lambda work: work.runs.add(1, Counters(fetched=1)),
    "runs.record_read": lambda work: work.runs.record_read(
        BatchRead(1, "", 1, None, None, None, later(0)), counters=Counters()
    ),
    "runs.finish": lambda work: work.runs.finish(1, RunStatus.FAILED, later(0)),
    "runs.get": lambda work: work.runs.get(1),
    "runs.list": lambda work: work.runs.list(RunQuery()),
    "runs.latest": lambda work: work.runs.latest(),
    "runs.reads": lambda work: work.runs.reads(SOURCE),
    "checkpoints.get": lambda work: work.checkpoints.get(SOURCE, ""),
    "checkpoints.save": lambda work: work.checkpoints.save(SOURCE, "", {}, expected_version=0, run_id=1, at=later(0)),
    "checkpoints.list": lambda work: work.checkpoints.list(),
    "partitions.save": lambda work: work.partitions.save(PartitionState(SOURCE, "")),
    "partitions.list": lambda work: work.partitions.list(),
    "rejections.add": lambda work: work.rejections.add(SOURCE, "", 1, None, [rejection()], later(0)),
    "rejections.resolve": lambda work: work.rejections.resolve(SOURCE, ["k"]),
    "rejections.get": lambda work: work.rejections.get(1),
    "rejections.list": lambda work: work.rejections.list(RejectionQuery()),
    "validators.load": lambda work: work.validators.load(SOURCE, ""),
    "validators.save": lambda work: work.validators.save(SOURCE, "", [Validator("h")]),
    "leases.get": lambda work: work.leases.get(SOURCE, ""),
    "leases.take": lambda work: work.leases.take(SOURCE, "", owner="me", ttl=60, seen=None),
    "leases.renew": lambda work: work.leases.renew(_LEASE, ttl=60),
    "leases.attach": lambda work: work.leases.attach(_LEASE, 1),
    "leases.release": lambda work: work.leases.release(_LEASE),
    "totals.add": lambda work: work.totals.add(SOURCE, {(Metric.BYTES, ""): 1}),
    "totals.list": lambda work: work.totals.list(),
    "events.append": lambda work: work.events.append(Event(EventType.RUN_STARTED, SOURCE, 1, later(0))),
    "events.after": lambda work: work.events.after(0),
    "events.last_id": lambda work: work.events.last_id(),
    "keys.add": lambda work: work.keys.add(ApiKey("ci", Scope.READ, "h", later(0))),
    "keys.list": lambda work: work.keys.list(),
    "keys.revoke": lambda work: work.keys.revoke("ci", later(0)),
    "schedules.list": lambda work: work.schedules.list(),
    "schedules.get": lambda work: work.schedules.get(SOURCE),
    "schedules.due": lambda work: work.schedules.due(),
    "schedules.add": lambda work: work.schedules.add(_SCHEDULE),
    "schedules.put": lambda work: work.schedules.put(_SCHEDULE),
    "schedules.advance": lambda work: work.schedules.advance(_SCHEDULE, slot_at=None, next_at=None),
    "schedules.pause": lambda work: work.schedules.pause(SOURCE, later(0)),
    "schedules.record": lambda work: work.schedules.record([Slot(SOURCE, later(0), SlotState.RAN, 1)]),
    "schedules.slots": lambda work: work.schedules.slots(SOURCE),
    "answers.get": lambda work: work.answers.get("k"),
    "answers.put": lambda work: work.answers.put(GivenAnswer("k", "h", 202, None, "{}", later(0))),
    "entities.list": lambda work: work.entities.list(EntityQuery()),
    "entities.get": lambda work: work.entities.get(1),
    "entities.links": lambda work: work.entities.links(1),
    "findings.drift": lambda work: work.findings.drift(FindingQuery()),
    "findings.anomalies": lambda work: work.findings.anomalies(FindingQuery()),
    "retention.settle": lambda work: work.retention.settle(Prunable.RAW, Bound(max_bytes=1)),
    **{
        f"retention.{name}:{what}": lambda work, name=name, what=what: getattr(work.retention, name)(what, _BOUND)
        for name in ("prune", "prunable")
        for what in Prunable
    },
}


def test_the_list_of_methods_is_complete() -> None:
    """Every public method of every repository that reads a table is in the list above."""
    from kasparro_core.ports import service, storage

    ports = {
        "records": storage.RecordRepository,
        "raw": storage.RawStore,
        "runs": storage.RunLog,
        "checkpoints": storage.CheckpointStore,
        "partitions": storage.PartitionStore,
        "rejections": storage.RejectionStore,
        "validators": storage.ValidatorStore,
        "leases": storage.LeaseStore,
        "totals": service.TotalsStore,
        "events": service.EventLog,
        "keys": service.KeyStore,
        "schedules": service.ScheduleStore,
        "answers": service.AnswerStore,
        "entities": service.EntityStore,
        "findings": service.FindingStore,
        "retention": service.Retention,
    }
    methods = {f"{name}.{method}" for name, port in ports.items() for method in vars(port) if method[0] != "_"}
    without_table = {"schedules.now"}
    assert methods - without_table == {name.partition(":")[0] for name in METHODS}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'bare.db').as_posix()}"
    return str(request.getfixturevalue("empty_postgres_url"))


async def test_every_method_translates_what_is_wrong_with_the_database(bare_url: str) -> None:
    """Without tables each method raises the permanent error that says what to do."""
    store = SqlStore(bare_url)
    for name, method in METHODS.items():
        with pytest.raises(PermanentStorageError, match="kasparro migrate"):
            async with store.begin() as work:
                await method(work)
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
        lease = await first.leases.renew(_LEASE, ttl=60)
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
