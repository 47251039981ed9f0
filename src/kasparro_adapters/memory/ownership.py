"""Process handles in memory: who is alive is what a shared registry says."""

from __future__ import annotations

import os
import secrets

from kasparro_core.errors import PermanentStorageError
from kasparro_core.ports.ownership import Liveness


class MemoryOwners:
    """The owners that share a memory store. It remembers every owner that ever held its handle."""

    def __init__(self) -> None:
        self._alive: dict[str, bool] = {}

    def rise(self, owner: str) -> None:
        """The owner holds its handle."""
        self._alive[owner] = True

    def fall(self, owner: str) -> None:
        """The owner's handle is free."""
        self._alive[owner] = False

    def judge(self, owner: str) -> Liveness:
        """UNKNOWN for an owner that never held a handle here."""
        if owner not in self._alive:
            return Liveness.UNKNOWN
        return Liveness.ALIVE if self._alive[owner] else Liveness.DEAD


class MemoryHandle:
    """The ProcessHandle of an owner in this process; handles made with one registry see one another."""

    def __init__(self, owners: MemoryOwners | None = None) -> None:
        self._owners = MemoryOwners() if owners is None else owners
        self._owner = f"memory:{os.getpid()}:{secrets.token_hex(8)}"
        self._dead = False

    @property
    def owner(self) -> str:
        """The name of this owner, stable for the handle's life."""
        return self._owner

    async def hold(self) -> None:
        """Enter the registry. Raises PermanentStorageError after the handle died."""
        if self._dead:
            raise PermanentStorageError(f"the handle of owner {self._owner} died and cannot be held again.")
        self._owners.rise(self._owner)

    async def judge(self, owner: str, /) -> Liveness:
        """What the registry says; the own handle is ALIVE until it died."""
        return Liveness.ALIVE if owner == self._owner and not self._dead else self._owners.judge(owner)

    async def close(self) -> None:
        """Leave the registry."""
        self._owners.fall(self._owner)

    def die(self) -> None:
        """What a SIGKILL of the owner's process is elsewhere: the handle is free, its holder can do no more."""
        self._dead = True
        self._owners.fall(self._owner)
