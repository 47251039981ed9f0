"""Asking the database whether it is there, without ever waiting long for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from kasparro_core.errors import TransientStorageError

T = TypeVar("T")

PATIENCE = 1.5
"""Seconds after which a database that has not answered counts as not reachable."""


class Probe(Generic[T]):
    """One question to the database. At most one is under way in a process, however many ask: a database that hangs is
    not asked again before it has answered. A step of the store is not broken off half-way: that may take as long as
    its own time limits."""

    def __init__(self, question: Callable[[], Coroutine[Any, Any, T]], patience: float = PATIENCE) -> None:
        self._question = question
        self._patience = patience
        self._asking: asyncio.Task[T] | None = None

    async def ask(self) -> tuple[T, float]:
        """The answer, and how many milliseconds it took. Raises StorageError, also when there is none in time."""
        begun = time.perf_counter()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._question(), name="probe of the database")
            self._asking.add_done_callback(_look_at)
        asking = self._asking
        done, _ = await asyncio.wait({asking}, timeout=self._patience)
        if not done:
            raise TransientStorageError(f"The database has not answered within {self._patience:g} seconds.")
        return asking.result(), (time.perf_counter() - begun) * 1000


def _look_at(asking: asyncio.Task[Any]) -> None:
    """A failure that comes after all who asked have gone is no news: the next one who asks is told."""
    if not asking.cancelled():
        asking.exception()
