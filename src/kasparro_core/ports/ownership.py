"""The liveness port: handles that die with their process, so that a dead owner is known at once."""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class Liveness(Enum):
    """What a look at an owner's handle says."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class ProcessHandle(Protocol):
    """One process-bound handle: an OS file lock beside the SQLite file, a session advisory lock on PostgreSQL.

    The operating system (or the server) releases it when the process ends, however it ends.
    """

    @property
    def owner(self) -> str:
        """The name under which this process is an owner ("host:pid:random"); stable for the handle's life."""
        ...

    async def hold(self) -> None:
        """Take the handle, or make sure that it is still held; called before each lease is taken.

        Raises StorageError when it cannot be taken.
        """
        ...

    async def judge(self, owner: str, /) -> Liveness:
        """Is that owner's process alive? UNKNOWN when it cannot be told (a connection pooler, another database host).

        Own handle: ALIVE.
        """
        ...

    async def close(self) -> None:
        """Give the handle back. Twice is fine."""
        ...
