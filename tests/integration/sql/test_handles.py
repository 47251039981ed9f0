"""Handles that die with their process, judged from another process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from filelock import FileLock
from scripted import SteppingClock

from kasparro_adapters.sql import process_handle
from kasparro_adapters.sql.handles.advisory import AdvisoryHandle
from kasparro_adapters.sql.handles.file import FileHandle
from kasparro_adapters.sql.url import parse_url
from kasparro_core.errors import PermanentStorageError
from kasparro_core.ports import Liveness, ProcessHandle

_CHILD = """
import asyncio, sys
from kasparro_adapters.sql import process_handle

async def main():
    handle = process_handle(sys.argv[1])
    await handle.hold()
    print(handle.owner, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if sys.argv[2] == "close":
        await handle.close()

asyncio.run(main())
"""


@pytest.fixture
async def handle(database_url: str) -> AsyncIterator[ProcessHandle]:
    """This process's handle, held."""
    made = process_handle(database_url, SteppingClock())
    await made.hold()
    yield made
    await made.close()


@asynccontextmanager
async def _child(url: str, *, end: str = "close") -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Another process that holds its handle until its input ends; yields it and its owner name."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, url, end,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": "src"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        owner = (await process.stdout.readline()).decode().strip()
        assert owner
        yield process, owner
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate(b"")


async def _until_dead(handle: ProcessHandle, owner: str) -> Liveness:
    """PostgreSQL notices a closed connection a moment later: ask until it says something else than ALIVE."""
    async with asyncio.timeout(10):
        while (verdict := await handle.judge(owner)) is Liveness.ALIVE:
            await asyncio.sleep(0)
    return verdict


async def test_a_running_process_is_alive_and_a_killed_one_is_dead(handle: ProcessHandle, database_url: str) -> None:
    """SIGKILL leaves no time to clean up, and still the handle is free."""
    async with _child(database_url) as (process, owner):
        assert await handle.judge(owner) is Liveness.ALIVE
        process.kill()
        await process.wait()
        assert await _until_dead(handle, owner) is Liveness.DEAD
        assert await handle.judge(owner) is Liveness.DEAD


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
async def test_a_stopped_process_is_alive(handle: ProcessHandle, database_url: str) -> None:
    """A process that is stopped may go on any time: it is not dead."""
    async with _child(database_url) as (process, owner):
        process.send_signal(signal.SIGSTOP)
        assert await handle.judge(owner) is Liveness.ALIVE
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("end", ["close", "exit"])
async def test_a_process_that_ended_is_dead(handle: ProcessHandle, database_url: str, end: str) -> None:
    """Ending in order frees the handle, with or without closing it."""
    async with _child(database_url, end=end) as (process, owner):
        await process.communicate(b"")
        assert process.returncode == 0
        assert await _until_dead(handle, owner) is Liveness.DEAD


async def test_one_judges_itself_alive(handle: ProcessHandle) -> None:
    """Looking at the own handle does not free it."""
    assert await handle.judge(handle.owner) is Liveness.ALIVE
    await handle.hold()
    assert await handle.judge(handle.owner) is Liveness.ALIVE


async def test_two_handles_of_one_process_are_told_apart(handle: ProcessHandle, database_url: str) -> None:
    """Each handle has a name of its own and lives until it is closed."""
    other = process_handle(database_url)
    await other.hold()
    assert other.owner != handle.owner
    assert other.owner.split(":")[1] == str(os.getpid())
    assert await handle.judge(other.owner) is Liveness.ALIVE
    await other.close()
    await other.close()
    assert await _until_dead(handle, other.owner) is Liveness.DEAD


async def test_many_tasks_may_use_one_handle(handle: ProcessHandle, database_url: str) -> None:
    """Sources that are claimed at once hold and judge at once."""
    other = process_handle(database_url)
    await other.hold()
    verdicts = await asyncio.gather(*(handle.judge(other.owner) for _ in range(10)), *(handle.hold() for _ in range(5)))
    assert verdicts[:10] == [Liveness.ALIVE] * 10
    await other.close()


async def test_a_cancelled_look_leaves_the_handle_held(handle: ProcessHandle, database_url: str) -> None:
    """Cancelled at any turn of the loop, it can still be held and judge, and others still see it alive."""
    other = process_handle(database_url)
    await other.hold()
    await handle.hold()
    for turns in range(40):
        look = asyncio.create_task(handle.judge(other.owner))
        for _ in range(turns):
            await asyncio.sleep(0)
        look.cancel()
        with suppress(asyncio.CancelledError):
            await look
        assert await other.judge(handle.owner) is Liveness.ALIVE
    assert await handle.judge(other.owner) is Liveness.ALIVE
    await other.close()


async def test_two_judges_agree_that_a_dead_one_is_dead(handle: ProcessHandle, database_url: str) -> None:
    """A judge that comes after another one says the same."""
    second = process_handle(database_url, SteppingClock())
    async with _child(database_url) as (process, owner):
        process.kill()
        await process.wait()
        assert await _until_dead(handle, owner) is Liveness.DEAD
        assert await second.judge(owner) is Liveness.DEAD
    await second.close()


@pytest.mark.parametrize("owner", ["elsewhere:1:abc", "no owner", "a:b:../../x"])
async def test_a_file_handle_judges_nobody_it_cannot_see(sqlite_url: str, owner: str) -> None:
    """Owners on another host, or with names of another make, are unknown."""
    handle = process_handle(sqlite_url)
    assert await handle.judge(owner) is Liveness.UNKNOWN


async def test_a_file_handle_cleans_up(sqlite_url: str) -> None:
    """Closing removes the lock file and, as the last one, the directory; a dead owner's file goes with the verdict."""
    directory = Path(sqlite_url.removeprefix("sqlite:///") + ".owners")
    handle = process_handle(sqlite_url)
    await handle.hold()
    async with _child(sqlite_url) as (process, owner):
        assert len(list(directory.iterdir())) == 2
        process.kill()
        await process.wait()
        assert await handle.judge(owner) is Liveness.DEAD
        assert len(list(directory.iterdir())) == 1
    await handle.close()
    assert not directory.exists()


async def test_a_file_handle_sweeps_up_after_the_dead(sqlite_url: str) -> None:
    """The file of a process that died without a lease goes when the next one starts; those of the living stay."""
    living, starting = process_handle(sqlite_url), process_handle(sqlite_url)
    await living.hold()
    directory = Path(sqlite_url.removeprefix("sqlite:///") + ".owners")
    (directory / "0123456789abcdef.lock").touch()
    await starting.hold()
    names = {owner.split(":")[2] for owner in (living.owner, starting.owner)}
    assert {path.stem for path in directory.iterdir()} == names
    assert await starting.judge(living.owner) is Liveness.ALIVE
    await living.close()
    await starting.close()
    assert not directory.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no open file")
async def test_a_file_that_its_owner_locks_just_when_it_is_swept_up_stays(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody finds the file of a new owner that is not locked yet, and the owner locks it as soon as it can: others
    see it alive."""
    owner, sweeper, third = (FileHandle(Path(sqlite_url.removeprefix("sqlite:///"))) for _ in range(3))
    await third.hold()
    file, release = Path(owner._lock.lock_file), FileLock.release
    file.touch()

    def released(lock: FileLock, force: bool = False) -> None:
        release(lock, force=force)
        if not owner._lock.is_locked and lock.lock_file == str(file):
            monkeypatch.undo()
            owner._hold()

    monkeypatch.setattr(FileLock, "release", released)
    sweeper._judge(file.stem)
    assert owner._lock.is_locked
    assert await third.judge(owner.owner) is Liveness.ALIVE
    for handle in (owner, third):
        await handle.close()


async def test_a_file_handle_whose_file_was_removed_is_taken_anew(sqlite_url: str) -> None:
    """Somebody tidied up: the next hold() makes the file again, so that others see us alive."""
    directory = Path(sqlite_url.removeprefix("sqlite:///") + ".owners")
    handle, other = process_handle(sqlite_url), process_handle(sqlite_url)
    await handle.hold()
    for file in directory.iterdir():
        file.unlink()
    assert await other.judge(handle.owner) is Liveness.DEAD
    await handle.hold()
    assert await other.judge(handle.owner) is Liveness.ALIVE
    await handle.close()


async def test_a_file_handle_without_its_directory_is_a_storage_error(tmp_path: Path) -> None:
    """A database in a missing directory fails here with the same kind of sentence as the store."""
    with pytest.raises(PermanentStorageError, match="cannot be opened"):
        await process_handle(f"sqlite:///{(tmp_path / 'no' / 'k.db').as_posix()}").hold()


@pytest.mark.postgres
async def test_a_lost_connection_is_made_again(postgres_url: str) -> None:
    """When the server ended the session, the next hold() takes the lock in a new one."""
    handle, other = process_handle(postgres_url), process_handle(postgres_url)
    await handle.hold()
    admin = await asyncpg.connect(postgres_url)
    ended = await admin.fetch("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
    assert len(ended) == 1
    await handle.hold()
    assert await other.judge(handle.owner) is Liveness.ALIVE
    await admin.close()
    await handle.close()
    await other.close()


class _Pooled(AdvisoryHandle):
    """A handle whose statements run in whatever session the pooler has free: the lock is not found under its own."""

    async def _ask(self, connection: Any, statement: Any, **params: float) -> Sequence[Any]:
        answer = await super()._ask(connection, statement, **params)
        return (answer[0] + 1, False) if len(answer) == 2 else answer


@pytest.mark.postgres
async def test_behind_a_pooler_nobody_is_judged(postgres_url: str) -> None:
    """Where a session is not tied to the process, locks say nothing about life."""
    pooled, other = _Pooled(parse_url(postgres_url), SteppingClock()), process_handle(postgres_url)
    await pooled.hold()
    await pooled.hold()
    assert await pooled.judge(other.owner) is Liveness.UNKNOWN
    assert await pooled.judge(pooled.owner) is Liveness.ALIVE
    await pooled.close()
    await other.close()


@pytest.mark.postgres
async def test_an_unreachable_server_is_a_storage_error(postgres_url: str) -> None:
    """hold() translates like the store does."""
    handle = process_handle(postgres_url.rsplit("/", 1)[0] + "/no_such_database")
    with pytest.raises(PermanentStorageError, match="does not exist"):
        await handle.hold()
    await handle.close()
