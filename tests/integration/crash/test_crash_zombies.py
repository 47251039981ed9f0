"""Zombies: a process is stopped beyond its lease, another takes over and finishes, the first wakes up and commits
nothing.

KASPARRO_CRASH_ZOMBIES: how many of them wait for the network, for each kind of database (1; `make crash`: 50); half as
many are stopped in the middle of their own transaction.

How a lease runs out: in every second try by itself, after 2 s instead of 60 (tests/support/storm_child.py); in the
others the program is as it is, and the row is aged by SQL, as if the minute had passed.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from crash_storm import NEEDS_POSIX
from ledger import query
from served import Served, starting, until
from storm_look import (
    LOCK_WAITS,
    SILENT_IN_TRANSACTION,
    Session,
    age_lease,
    changed,
    is_locked,
    snapshot,
    stop,
    wait_for,
)
from storm_market import PAGES, Market, ended, market, post
from storm_plan import replayable, seeds, tell

from kasparro_adapters.sql import SqlStore, postgres, process_handle
from kasparro_core.services.run import LEASE_TTL

pytestmark = [NEEDS_POSIX, pytest.mark.slow, pytest.mark.timeout(300)]

TRIES = seeds("KASPARRO_CRASH_ZOMBIES", 1)
INSIDE = TRIES[: (len(TRIES) + 1) // 2]
SHORT = {"lease_ttl": 2.0}
SCALED = {"lease_ttl": 3.0, "idle_limit": 1.5, "lock_wait": 1.0}
"""60, 30 and 20 seconds, all twenty times shorter."""


@pytest.fixture
def upstream_market(tmp_path: Path, database_url: str) -> Iterator[Market]:
    with market(tmp_path / "home", database_url) as made:
        yield made


def _stop_at(place: Market, request: int, pid: Callable[[], int]) -> threading.Event:
    """Stop a process while it waits for its n-th page; the event tells that it stands still."""
    stopped = threading.Event()

    def hook(number: int) -> None:
        if number == request and not stopped.is_set():
            stop(pid())
            stopped.set()

    place.upstream.hook = hook
    return stopped


def _wakes(place: Market, zombie: subprocess.Popen[str]) -> list[str]:
    """Wake a zombie and let it end; it must say what happened. Returns the tables that it wrote to."""
    before = snapshot(place.database)
    zombie.send_signal(signal.SIGCONT)
    end = ended(zombie)
    assert end.code == 1, end
    assert re.search(r"market: conflict: Run \d+ of source 'market' was taken over", end.err), end.err
    return changed(before, snapshot(place.database))


def _all_is_right(place: Market) -> None:
    assert place.faults() == []
    (first, *_), (second, *_) = place.runs()
    assert place.runs() == [(first, "interrupted", None), (second, "succeeded", first)]


@pytest.mark.parametrize("seed", TRIES)
def test_a_zombie_that_waited_for_the_network_commits_nothing(
    seed: int, upstream_market: Market, request: pytest.FixtureRequest
) -> None:
    """Stopped while it waits for a page, taken over when its lease is over, woken up: it writes to no table at all."""
    place, target = upstream_market, random.Random(seed).randint(1, PAGES)
    with replayable(request, seed):
        patience = SHORT if seed % 2 == 0 else {}
        stopped = _stop_at(place, target, lambda: zombie.pid)
        zombie = place.start(**patience)
        wait_for(stopped.is_set, f"page {target}", zombie)
        if not patience:
            age_lease(place.database, "market")
        successor = place.run(**patience)
        assert successor.code == 0, successor
        late = _wakes(place, zombie)
        tell(request, stopped_at_page=target, by="expiry" if patience else "aged", late_writes=len(late))
        assert late == []
        _all_is_right(place)


@pytest.mark.postgres
@pytest.mark.parametrize("seed", INSIDE)
def test_a_zombie_inside_its_transaction_holds_nobody_up(
    seed: int, tmp_path: Path, postgres_url: str, request: pytest.FixtureRequest
) -> None:
    """Stopped between two statements, or between preparing one and running it, with the lease's row locked: the server
    or whoever comes next ends that session, the successor comes through, and the zombie writes nothing."""
    target = random.Random(seed).randint(1, PAGES)
    home = tmp_path / "home"
    with replayable(request, seed), market(home, postgres_url) as place, Session(postgres_url) as locked:
        place.upstream.hook = lambda number: _lock(locked, number, target)
        zombie = place.start(**{**SCALED, "lock_wait": 20.0})
        wait_for(lambda: query(place.database, LOCK_WAITS), f"a wait in page {target}", zombie)
        stop(zombie.pid)
        locked.close()
        states = wait_for(lambda: query(place.database, SILENT_IN_TRANSACTION), "its open transaction", zombie)
        _taken_over(place, zombie, request, target, while_it_was=states[0][0])


def _lock(session: Session, number: int, target: int) -> None:
    """Before the n-th page is sent: let whoever writes to the ledger of reads wait."""
    if number == target:
        session.run("BEGIN")
        session.run("LOCK TABLE run_batches IN ACCESS EXCLUSIVE MODE")


def _taken_over(
    place: Market, zombie: subprocess.Popen[str], request: pytest.FixtureRequest, page: int, **more: object
) -> None:
    successor = place.run(**SCALED)
    assert successor.code == 0, successor
    late = _wakes(place, zombie)
    tell(request, stopped_at_page=page, late_writes=len(late), **more)
    assert late == []
    _all_is_right(place)


BIG = [{"id": f"coin-{n}", "price": f"{n}.5", "name": f"{n} " * 500} for n in range(3 * 2000)]
IN_COPY = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
    " AND state = 'active' AND wait_event = 'ClientRead'"
)


@pytest.mark.postgres
@pytest.mark.parametrize("seed", INSIDE)
def test_a_zombie_that_was_sending_records_holds_nobody_up(
    seed: int, tmp_path: Path, postgres_url: str, request: pytest.FixtureRequest
) -> None:
    """Stopped in the middle of a COPY, which is beyond every limit of the server: whoever comes next ends its session,
    and comes through."""
    home = tmp_path / "home"
    with replayable(request, seed), market(home, postgres_url, BIG, 2000) as place, Session(postgres_url) as watcher:
        zombie = place.start(**SCALED)
        void = 0
        while not _caught_in_copy(watcher, zombie):
            zombie.send_signal(signal.SIGCONT)
            void += 1
        _taken_over(place, zombie, request, len(place.upstream.asked), void=void)


def _caught_in_copy(watcher: Session, zombie: subprocess.Popen[str]) -> bool:
    """Stop a process that is sending records. True when the server still waits for more of them: it is seen to do so
    all the time, for as long as it takes to look some times."""
    wait_for(lambda: watcher.rows(IN_COPY), "a COPY", zombie)
    stop(zombie.pid)
    return all(watcher.rows(IN_COPY) for _ in range(20))


@pytest.mark.parametrize("seed", INSIDE)
def test_a_process_stopped_inside_its_write_blocks_sqlite_with_one_clear_sentence(
    seed: int, tmp_path: Path, sqlite_url: str, request: pytest.FixtureRequest
) -> None:
    """SQLite has one writer: others wait as long as they are told to, say who is in the way, and have written nothing;
    when the stopped one goes on nothing is lost."""
    home, chance = tmp_path / "home", random.Random(seed)
    with replayable(request, seed), market(home, sqlite_url, BIG, 2000) as place:
        asked = chance.randint(1, 3)
        zombie = place.start(**SHORT)
        wait_for(lambda: len(place.upstream.asked) >= asked, f"page {asked}", zombie)
        void = 0
        while not _caught_in_write(place, zombie):
            zombie.send_signal(signal.SIGCONT)
            void += 1
        before = snapshot(sqlite_url)
        blocked = place.run(**SHORT, lock_wait=0.5)
        assert blocked.code == 1, blocked
        assert "kasparro.db is locked by another process. Let it finish or stop it" in blocked.err
        assert changed(before, snapshot(sqlite_url)) == []
        zombie.send_signal(signal.SIGCONT)
        assert ended(zombie).code == 0
        tell(request, stopped_at_page=asked, void=void)
        assert place.faults() == []


def _caught_in_write(place: Market, writer: subprocess.Popen[str]) -> bool:
    """Stop a process that holds SQLite's write lock."""
    wait_for(lambda: is_locked(place.database), "a write", writer)
    stop(writer.pid)
    return is_locked(place.database)


def _trigger(served: Served) -> int:
    return post(served.url + "/runs?source=market").status


def test_a_stopped_service_is_taken_over_and_serves_on_when_it_wakes_up(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """`serve` is stopped in the middle of a run, `run` takes over and finishes: the service wakes up, writes nothing
    more of its run, says why, and serves as before."""
    with market(tmp_path / "home", database_url) as place, starting() as start:
        served: Served = start(place.folder, "serve", "--port", "0", "--no-scheduler", "--insecure").wait_up()
        until(lambda: served.get("/health/ready").status == 200, "readiness", served)
        stopped = _stop_at(place, 4, lambda: served.child.pid)
        assert _trigger(served) == 202
        wait_for(stopped.is_set, "page 4")
        age_lease(database_url, "market")
        successor = place.run()
        assert successor.code == 0, successor
        before = snapshot(database_url)
        served.child.send_signal(signal.SIGCONT)
        until(lambda: "was taken over" in served.said, "the service's word", served)
        late = changed(before, snapshot(database_url))
        tell(request, late_writes=len(late))
        assert late == []
        assert served.get("/runs/1").body["status"] == "interrupted"
        assert _trigger(served) == 202
        until(lambda: served.get("/runs/3").body["status"] == "unchanged", "one more run", served)
        assert served.end(signal.SIGTERM)[0] == 0
        assert "Traceback" not in served.said
        assert place.faults() == []


@pytest.mark.postgres
async def test_the_limits_of_a_stopped_owner_are_in_order(postgres_url: str) -> None:
    """Who waits for a lock gives up before its holder's transaction is ended for idling, and that is over before the
    lease is."""
    store = SqlStore(postgres_url)
    async with store.begin() as work:
        session = work.records._session
        lock_wait, idle = [
            (await session.driver_sql(f"SELECT extract(epoch FROM current_setting('{name}')::interval)")).scalar_one()
            for name in ("lock_timeout", "idle_in_transaction_session_timeout")
        ]
    await store.close()
    assert 0 < lock_wait < idle < LEASE_TTL


async def _sends(url: str, name: str, more: asyncio.Event) -> bool:
    """A client of that name that begins a COPY and is silent until there is more. Whether it came to its end."""
    connection = await asyncpg.connect(url, server_settings={"application_name": name})

    async def rows() -> AsyncIterator[bytes]:
        await more.wait()
        yield b""

    try:
        return bool(await connection.copy_to_table("partitions", source=rows()))
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    finally:
        connection.terminate()


@pytest.mark.postgres
async def test_only_our_own_sessions_that_are_silent_for_long_are_ended(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COPY of ours that has not lasted for the idle limit is left alone, and so is any of somebody else."""
    more, handle, watcher = asyncio.Event(), process_handle(postgres_url), await asyncpg.connect(postgres_url)
    ours, theirs = (asyncio.create_task(_sends(postgres_url, name, more)) for name in ("kasparro", "psql"))
    while await watcher.fetchval(f"SELECT count(*) FROM ({IN_COPY}) AS copying") < 2:
        assert not ours.done(), ours
        await asyncio.sleep(0.01)
    await handle.hold()
    assert await watcher.fetchval(f"SELECT count(*) FROM ({IN_COPY}) AS copying") == 2
    monkeypatch.setattr(postgres, "IDLE_LIMIT", 0)
    await handle.hold()
    while await watcher.fetchval(f"SELECT count(*) FROM ({IN_COPY}) AS copying") > 1:
        await asyncio.sleep(0.01)
    more.set()
    assert [await ours, await theirs] == [False, True]
    await handle.close()
    await watcher.close()
