"""The session that holds an owner's lock, and those that hold other locks: cut, slow, silent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest
from scripted import SteppingClock

from kasparro_adapters.sql import postgres, process_handle
from kasparro_adapters.sql.handles.advisory import AdvisoryHandle
from kasparro_adapters.sql.handles.owner import has_ended, numbered, this_process
from kasparro_adapters.sql.url import parse_url
from kasparro_core.ports import Liveness


class Meanwhile(SteppingClock):
    """Something happens while somebody waits."""

    happens: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, seconds: float, /) -> None:
        if self.happens is not None:
            await self.happens()
        await super().sleep(seconds)


async def _until(connection: asyncpg.Connection, query: str) -> None:
    async with asyncio.timeout(30):
        while not await connection.fetchval(query):
            await asyncio.sleep(0.01)


@pytest.mark.postgres
async def test_a_living_owner_whose_session_was_cut_is_not_taken_for_dead(postgres_url: str) -> None:
    """The lock is seen free, and the owner cannot have it back yet; a moment later it has taken it again by itself."""
    clock, name = Meanwhile(), urlsplit(postgres_url).path[1:]
    owner, judge = process_handle(postgres_url), process_handle(postgres_url, clock)
    await owner.hold()
    session = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
    session += f"(SELECT oid FROM pg_database WHERE datname = '{name}')"
    admin = await asyncpg.connect(postgres_url.rsplit("/", 1)[0] + "/postgres")
    cut = await admin.fetchval(session)
    await judge.hold()

    async def open_again() -> None:
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await _until(admin, f"SELECT count(*) = 2 FROM ({session}) AS held")

    clock.happens = open_again
    await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await admin.execute(f"SELECT pg_terminate_backend({cut}, 5000)")
    assert await judge.judge(owner.owner) is Liveness.ALIVE
    assert clock.slept == [2.0]
    await admin.close()
    await owner.close()
    await judge.close()


@pytest.mark.postgres
async def test_dead_is_who_leaves_its_lock_free_for_seconds(postgres_url: str) -> None:
    """Where the process cannot be seen to have ended it takes two looks; the verdict holds for a while, and is found
    anew when nobody looked for longer."""
    clock = SteppingClock()
    gone, judge = process_handle(postgres_url), process_handle(postgres_url, clock)
    await gone.hold()
    await gone.close()
    assert await judge.judge(gone.owner) is Liveness.DEAD
    assert await judge.judge(gone.owner) is Liveness.DEAD
    assert clock.slept == [2.0]
    await clock.sleep(10)
    assert await judge.judge(gone.owner) is Liveness.DEAD
    assert clock.slept == [2.0, 10, 2.0]
    await judge.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot ask for a process without disturbing it")
def test_a_process_that_is_seen_to_have_ended() -> None:
    """Of this machine, and no process has its number: nothing else is sure, least of all the number of a process in
    another container of the same host name."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    me = this_process()
    gone = me._replace(pid=numbered(ended.pid))
    assert has_ended(str(gone))
    odd = [me, me._replace(pid="0"), me._replace(pid="9" * 30), me._replace(pid="x")]
    elsewhere = (gone._replace(host="elsewhere"), gone._replace(pid=f"{ended.pid}+4026530000"))
    assert not any(has_ended(str(owner)) for owner in (*odd, *elsewhere))
    assert not has_ended("no owner")


@pytest.mark.postgres
async def test_a_copy_that_is_slow_is_left_alone_as_long_as_it_moves(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older than the idle limit and waiting for its client at each look, but with more bytes than before: it goes on.
    Once nothing comes any more it is ended."""
    monkeypatch.setattr(postgres, "IDLE_LIMIT", 0)
    clock, sent = Meanwhile(), asyncio.Queue[bytes]()
    handle, watcher = AdvisoryHandle(parse_url(postgres_url), clock), await asyncpg.connect(postgres_url)
    client = await asyncpg.connect(postgres_url, server_settings={"application_name": "kasparro"})

    async def rows() -> AsyncIterator[bytes]:
        while True:
            yield await sent.get()

    async def look() -> None:
        await handle.hold()
        await asyncio.gather(*handle._tasks)

    async def more() -> None:
        sent.put_nowait(b"y" * 1000)
        await _until(watcher, "SELECT bytes_processed > 1000 FROM pg_stat_progress_copy")

    copying = asyncio.create_task(client.copy_to_table("partitions", source=rows()))
    sent.put_nowait(b"x" * 1000)
    await _until(watcher, "SELECT bytes_processed = 1000 FROM pg_stat_progress_copy")
    clock.happens = more
    await look()
    assert await watcher.fetchval("SELECT count(*) FROM pg_stat_progress_copy") == 1
    clock.happens = None
    await look()
    await _until(watcher, "SELECT NOT EXISTS (SELECT FROM pg_stat_progress_copy)")
    assert len(clock.slept) == 2
    copying.cancel()
    await asyncio.wait([copying])
    client.terminate()
    await watcher.close()
    await handle.close()
