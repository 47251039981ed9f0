"""Places: how many requests of one limit key are under way at a time, in this process and in all of them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kasparro_core.errors import StorageError
from kasparro_core.model.budget import Budget
from kasparro_core.policy.places import enter, leave
from kasparro_core.ports.budgets import Budgets
from kasparro_core.ports.clock import Clock
from kasparro_core.services.steps import unbroken

LOOK_AGAIN = 0.1
"""Seconds after which is looked whether another process has given a place back."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Places:
    """Those of one limit key. Of the requests of this process that wait, one at a time looks for a place."""

    key: str
    clock: Clock
    budgets: Budgets
    _under_way: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _entering: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def here(self, most: int | None) -> AsyncIterator[None]:
        """Be under way in this process, as soon as fewer than `most` are."""
        while most is not None and self._under_way >= most:
            self._freed.clear()
            await self._freed.wait()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._freed.set()

    @asynccontextmanager
    async def everywhere(self, most: int, seconds: float) -> AsyncIterator[None]:
        """The same for all processes that share the budget. A place that is not given back is free after `seconds`."""
        name = secrets.token_hex(6)
        try:
            async with self._entering:
                while not await self._entered(name, most, seconds):
                    await self.clock.sleep(LOOK_AGAIN)
            yield
        finally:
            await self._left(name)

    async def _entered(self, name: str, most: int, seconds: float) -> bool:
        def step(budget: Budget, now: float) -> tuple[Budget, bool]:
            return enter(budget, name, most, now, now + seconds)

        return (await self.budgets.change(self.key, step))[2]

    async def _left(self, name: str) -> None:
        """Give the place back, whatever ended the request. Where that fails, it is free again by itself."""
        try:
            await unbroken(self.budgets.change(self.key, lambda budget, _: (leave(budget, name), None)))
        except StorageError as error:
            log.warning("a place of %s is not given back before it is taken for free: %s", self.key, error)
