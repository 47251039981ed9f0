"""Whole runs while their database fails: a unit of work is done again as a whole, or the next run resumes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from postgres import OwnServer, own_server
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told
from sqlalchemy import event

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.handles import process_handle
from kasparro_core.errors import PermanentStorageError, StorageError, TransientStorageError
from kasparro_core.model import EventType, Run, RunQuery, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner
from kasparro_core.testing.build import table

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")
PAGES = [[{"id": f"{page}-{n}", "price": str(n)} for n in range(20)] for page in range(4)]
KEYS = {row["id"] for page in PAGES for row in page}
INTERRUPTS = int(os.environ.get("KASPARRO_TEST_INTERRUPTS", "25"))


class Clock(SteppingClock):
    """Tells somebody when a run waits before it tries again."""

    on_wait: Callable[[int], None] = staticmethod(lambda _n: None)

    async def sleep(self, seconds: float, /) -> None:
        if seconds < self.patience:
            self.on_wait(len([slept for slept in self.slept if slept < self.patience]) + 1)
        await super().sleep(seconds)


class Bench:
    """One process on one database that is about to fail."""

    def __init__(self, url: str, *, lock_wait: float | None = None, handle: Any = None) -> None:
        self.url = url
        self.store = SqlStore(url, lock_wait=lock_wait)
        self.clock = Clock()
        self.source = ScriptedSource({"": list(PAGES)})
        self._handle = handle or MemoryHandle(MemoryOwners())
        self._runner = Runner(self.store, self._handle, self.clock, {"lines": LinesDecoder()}, Told())

    async def run(self) -> Run:
        run = await self._runner.run(SourceJob(self.source, MAPPING))
        assert run is not None
        return run

    async def until_done(self) -> list[Run]:
        """Run again while a run fails, as a timer would; the runs of the ledger."""
        for _ in range(4):
            try:
                await self.run()
                break
            except StorageError:
                continue
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.runs.list(RunQuery())))

    async def close(self) -> None:
        await self.store.close()

    async def is_whole(self) -> None:
        """The tables after however many attempts are those of one undisturbed run: nothing is lost or doubled, and the
        ledger, the events and the position tell of each page once."""
        assert set(await table(self.store, "scripted")) == KEYS
        async with self.store.begin(write=False) as work:
            runs = await work.runs.list(RunQuery())
            events = await work.events.after(0)
            checkpoint = await work.checkpoints.get("scripted", "")
            reads = await work.runs.reads("scripted")
        assert sum(run.counters.inserted for run in runs) == sum(run.counters.fetched for run in runs) == len(KEYS)
        assert len(reads) == len(PAGES)
        committed = [told for told in events if told.type is EventType.BATCH_COMMITTED]
        assert [told.data["inserted"] for told in committed] == [20] * len(PAGES)
        assert checkpoint is not None
        assert (checkpoint.version, checkpoint.cursor) == (len(PAGES), {"page": len(PAGES)})
        assert RunStatus.RUNNING not in {run.status for run in runs}


async def _elsewhere(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def _trap(table_name: str, what: str, first: int, last: int, *, deferred: bool = False) -> list[str]:
    """Does `what` inside the transaction when a row of the table is written for the first to the last time. It counts
    by a sequence, which a rollback does not take back."""
    when = "CREATE CONSTRAINT TRIGGER trap AFTER" if deferred else "CREATE TRIGGER trap BEFORE"
    how = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW" if deferred else "FOR EACH ROW"
    return [
        "CREATE SEQUENCE times",
        f"""CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n bigint := nextval('times');
        BEGIN IF n BETWEEN {first} AND {last} THEN {what}; END IF; RETURN NEW; END $$""",
        f"{when} INSERT OR UPDATE ON {table_name} {how} EXECUTE FUNCTION trap()",
    ]


def _raise(state: str) -> str:
    return f"RAISE EXCEPTION 'trapped' USING ERRCODE = '{state}'"


PASSING = {
    "serialization failure": _raise("40001"),
    "deadlock": _raise("40P01"),
    "lost connection": "PERFORM pg_terminate_backend(pg_backend_pid())",
    "canceled statement": "PERFORM pg_cancel_backend(pg_backend_pid())",
    "lock timeout": _raise("55P03"),
    "out of memory": _raise("53200"),
}
LASTING = {"disk full": _raise("53100"), "read-only": _raise("25006"), "unknown": _raise("ZZ999")}


async def _fired(url: str) -> int:
    connection = await asyncpg.connect(url)
    times = await connection.fetchval("SELECT last_value FROM times")
    await connection.close()
    return int(times)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("what", "place"),
    [
        *(("lost connection", place) for place in ("records", "checkpoints", "outbox", "commit")),
        *((what, "outbox") for what in PASSING if what != "lost connection"),
        ("serialization failure", "commit"),
    ],
)
async def test_a_passing_fault_is_survived_by_doing_the_whole_unit_again(
    postgres_url: str, what: str, place: str
) -> None:
    """Three times in a row, at the beginning, in the middle, at the end and during the commit of a batch: one run, as
    if nothing had been, and no page is fetched twice."""
    target = "checkpoints" if place == "commit" else place
    written = {"records": 21, "outbox": 3}.get(target, 2)  # the 2nd page; the outbox tells of the run's start, too
    trap = _trap(target, PASSING[what], written, written + 2, deferred=place == "commit")
    await _elsewhere(postgres_url, *trap)
    bench = Bench(postgres_url)
    run = await bench.run()
    assert run.status is RunStatus.SUCCEEDED
    assert len([slept for slept in bench.clock.slept if slept < 10]) == 3
    assert await _fired(postgres_url) >= written + 3
    assert bench.source.asked == [("", page) for page in range(len(PAGES))]
    await bench.is_whole()
    await bench.close()


@pytest.mark.postgres
@pytest.mark.parametrize("what", ["lost connection", *LASTING])
async def test_a_fault_that_stays_fails_the_run_and_the_next_one_resumes(postgres_url: str, what: str) -> None:
    """What does not pass within five attempts, or cannot: the run raises and is marked, what it committed stays, and
    the next run goes on from there."""
    await _elsewhere(postgres_url, *_trap("checkpoints", (PASSING | LASTING)[what], 3, 10**9))
    bench = Bench(postgres_url)
    kind = TransientStorageError if what in PASSING else PermanentStorageError
    with pytest.raises(kind):
        await bench.run()
    assert len(await table(bench.store, "scripted")) == 40
    await _elsewhere(postgres_url, "DROP TRIGGER trap ON checkpoints")
    failed, last = await bench.until_done()
    assert (failed.status, failed.counters.inserted) == (RunStatus.FAILED, 40)
    assert failed.error_code in ("storage_transient", "storage_permanent", "storage_unexpected")
    assert (last.status, last.counters.inserted) == (RunStatus.SUCCEEDED, 40)
    await bench.is_whole()
    await bench.close()


@pytest.mark.postgres
async def test_a_server_without_connections_for_a_while(postgres_url: str) -> None:
    """The run's sessions are ended and others take their places: it tries again until one of them goes, and ends as if
    nothing had been."""
    role = f"kasparro_{uuid4().hex}"
    await _elsewhere(
        postgres_url,
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 3 IN ROLE pg_read_all_data, pg_write_all_data",
    )
    bench = Bench(postgres_url.replace("postgres@", f"{role}@"))
    taken: list[asyncpg.Connection] = []

    async def crowd(_partition: str, number: int) -> None:
        if number == 2:
            end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename"
            await _elsewhere(postgres_url, f"{end} = '{role}'")
            taken.extend([await asyncpg.connect(bench.url) for _ in range(3)])

    def make_room(wait: int) -> None:
        if wait == 3:
            while taken:
                taken.pop().terminate()

    bench.source.before_page = crowd
    bench.clock.on_wait = make_room  # type: ignore[method-assign]
    runs = await bench.until_done()
    assert taken == []
    assert runs[-1].status is RunStatus.SUCCEEDED
    await bench.is_whole()
    await bench.close()
    await _elsewhere(postgres_url, f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that may be stopped."""
    with own_server() as own:
        yield own


@pytest.fixture
async def served(server: OwnServer) -> AsyncIterator[Bench]:
    """A process on a database of that server, with the real handle."""
    url = server.database_url(server.create())
    handle = process_handle(url)
    bench = Bench(url, handle=handle)
    await bench.store.migrate()
    yield bench
    await bench.close()
    await handle.close()


async def _in_mid_batch(url: str, then: Callable[[], None]) -> None:
    """Hold the checkpoints until a unit of work waits for them, then do something to the server."""
    other, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    await other.execute("BEGIN")
    await other.execute("LOCK TABLE checkpoints IN SHARE MODE")
    waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%checkpoints%' AND wait_event_type = 'Lock')"
    while not await watcher.fetchval(waits):
        await asyncio.sleep(0.01)  # until another session is seen to wait
    then()
    other.terminate()
    watcher.terminate()


@pytest.mark.postgres
async def test_a_server_that_restarts_in_mid_batch(served: Bench, server: OwnServer) -> None:
    """Stopped at once inside a transaction and started again: the batch is written by the next attempt, once."""

    def restart() -> None:
        server.stop()
        server.start()

    async def hook(_partition: str, number: int) -> None:
        if number == 1:
            tasks.append(asyncio.create_task(_in_mid_batch(served.url, restart)))
            await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    served.source.before_page = hook
    runs = await served.until_done()
    await asyncio.gather(*tasks)
    assert [run.status for run in runs][-1] is RunStatus.SUCCEEDED
    await served.is_whole()


@pytest.mark.postgres
async def test_a_server_that_stays_away_for_a_while(served: Bench, server: OwnServer) -> None:
    """Gone in the middle of a run and not back in time: the run fails with what to do, nobody waits for its lease, and
    the next run of the same process goes on where it stood."""

    async def stop(_partition: str, number: int) -> None:
        if number == 2:
            server.stop()

    served.source.before_page = stop
    with pytest.raises(TransientStorageError, match="Nothing was written; try again"):
        await served.run()
    with pytest.raises(StorageError):
        await served.run()
    served.source.before_page = None
    server.start()
    runs = await served.until_done()
    assert [run.status for run in runs] == [RunStatus.INTERRUPTED, RunStatus.SUCCEEDED]
    assert runs[1].resumes == runs[0].run_id
    await served.is_whole()


@pytest.mark.parametrize("comes_free", [True, False])
async def test_a_locked_sqlite_file(sqlite_url: str, *, comes_free: bool) -> None:
    """Another program writes for long: the run tries again; if the file stays locked it fails, and the next run goes
    on."""
    bench = Bench(sqlite_url, lock_wait=0.01)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)

    async def lock(_partition: str, number: int) -> None:
        if number == 2:
            other.execute("BEGIN IMMEDIATE")

    def free(wait: int) -> None:
        if wait == 4 and comes_free:
            other.execute("ROLLBACK")

    bench.source.before_page = lock
    bench.clock.on_wait = free  # type: ignore[method-assign]
    if not comes_free:
        with pytest.raises(TransientStorageError, match="locked by another process"):
            await bench.run()
        other.execute("ROLLBACK")
        bench.source.before_page = None
    runs = await bench.until_done()
    assert [run.status for run in runs] == (
        [RunStatus.SUCCEEDED] if comes_free else [RunStatus.INTERRUPTED, RunStatus.SUCCEEDED]
    )
    await bench.is_whole()
    other.close()
    await bench.close()


async def test_a_full_sqlite_disk_and_room_again(sqlite_url: str) -> None:
    """The file may not grow any more in the middle of a run: it fails and says so; with room the next run goes on."""
    bench = Bench(sqlite_url)
    pages = [10**6]

    @event.listens_for(bench.store._database._writer.sync_engine, "begin", insert=True)  # type: ignore[attr-defined]
    def _limit(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages[0]}")

    async def fill(_partition: str, number: int) -> None:
        if number == 2:
            pages[0] = 1  # it cannot be less than there are: not a page more

    bench.source.pages[""] = [[{**row, "price": "1" * 900} for row in page] for page in PAGES]
    bench.source.before_page = fill
    with pytest.raises(PermanentStorageError, match="no disk space left"):
        await bench.run()
    pages[0] = 10**6
    bench.source.before_page = None
    runs = await bench.until_done()
    assert runs[0].counters.inserted < len(KEYS)
    assert runs[-1].status is RunStatus.SUCCEEDED
    await bench.is_whole()
    await bench.close()


async def test_sqlite_interrupted_anywhere(sqlite_url: str, tmp_path: Any) -> None:
    """Stopped inside a statement, at many instants from the first of a run to its last: SQLite rolls the transaction
    back by itself, and nothing is lost, doubled or half-written. Set KASPARRO_TEST_INTERRUPTS for more instants."""
    whole = await _steps(_copy(sqlite_url, tmp_path, "whole"), at=None)
    fired = 0
    for number in range(INTERRUPTS):
        at = 1 + number * whole // INTERRUPTS
        fired += await _steps(_copy(sqlite_url, tmp_path, f"{number}"), at=at) > at
    print(f"{fired} interrupts among {whole} places")  # noqa: T201 - what a storm counted is told
    assert fired >= INTERRUPTS * 0.9


def _copy(url: str, directory: Any, name: str) -> str:
    path = directory / f"{name}.db"
    path.write_bytes((directory / "kasparro.db").read_bytes())
    return f"sqlite:///{path.as_posix()}"


async def _steps(url: str, *, at: int | None) -> int:
    """Run to the end with an interrupt at one of SQLite's looks at its handler; how many looks there were."""
    bench = Bench(url)
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        return looks == at

    async with bench.store.begin() as work:
        driver = await work._session.driver()
        await driver.set_progress_handler(look, 150)
    await bench.until_done()
    await bench.is_whole()
    await bench.close()
    return looks
