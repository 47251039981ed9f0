"""An operating-system lock on a file beside the SQLite database."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kasparro_adapters.sql.errors import translated_files
from kasparro_adapters.sql.handles.owner import parse_owner, this_process
from kasparro_core.ports.ownership import Liveness


class FileHandle:
    """One locked file per process in `<database>.owners/`, named after the random part of the owner.

    The system frees the lock when the process ends, however it ends. Owners on another host are not judged: file locks
    over a network are not to be trusted.
    """

    def __init__(self, database: Path) -> None:
        self._database = str(database)
        self._directory = database.absolute().with_name(database.name + ".owners")
        self._owner = this_process()
        self._lock = self._file(self._owner.random)
        self._turn = asyncio.Lock()  # several tasks of the process claim sources at once

    @property
    def owner(self) -> str:
        """The name of this process."""
        return str(self._owner)

    async def hold(self) -> None:
        """Lock the file, anew if somebody removed it."""
        async with self._turn:
            with translated_files(self._database):
                await asyncio.to_thread(self._hold)

    async def judge(self, owner: str, /) -> Liveness:
        """A file that can be locked, or is not there, has no living owner."""
        other = parse_owner(owner)
        if other is None or other.host != self._owner.host:
            return Liveness.UNKNOWN
        if other == self._owner:
            return Liveness.ALIVE
        with translated_files(self._database):
            return await asyncio.to_thread(self._judge, other.random)

    async def close(self) -> None:
        """Unlock and remove the file; the directory goes with the last one."""
        async with self._turn:
            if self._lock.is_locked:
                await asyncio.to_thread(self._close)

    def _file(self, name: str) -> FileLock:
        return FileLock(self._directory / f"{name}.lock", thread_local=False)

    def _hold(self) -> None:
        path = Path(self._lock.lock_file)
        if self._lock.is_locked and path.exists():
            return
        while not (self._lock.is_locked and path.exists()):
            self._lock.release(force=True)
            self._directory.mkdir(exist_ok=True)
            # Others may take the directory away in between, or look whether our new file has a living owner.
            with suppress(FileNotFoundError, Timeout):
                self._lock.acquire(timeout=1)
        self._sweep()

    def _sweep(self) -> None:
        """Remove the files of processes that died without a lease, about which nobody would ever ask."""
        for path in self._directory.glob("*.lock"):
            if path != Path(self._lock.lock_file):
                self._judge(path.stem)

    def _judge(self, name: str) -> Liveness:
        lock = self._file(name)
        path = Path(lock.lock_file)
        if not path.exists():
            return Liveness.DEAD
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return Liveness.ALIVE
        _remove(lock)
        return Liveness.DEAD

    def _close(self) -> None:
        _remove(self._lock)
        try:
            self._directory.rmdir()
        except OSError:
            return  # other owners are in it


def _remove(lock: FileLock) -> None:
    """Delete and unlock, in this order: a file that is unlocked first may be locked by its owner before it is deleted.
    Windows deletes no open file, so the lock goes first there."""
    if os.name != "nt":
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release(force=True)
    if os.name == "nt":
        Path(lock.lock_file).unlink(missing_ok=True)
