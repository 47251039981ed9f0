"""Rate budgets in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model.budget import Budget, as_of


class MemoryRates:
    """The RateStore of a memory store; `now` is what a database's own clock is elsewhere. Its one writer holds all."""

    def __init__(self, transaction: Transaction, now: Callable[[], datetime]) -> None:
        self._tx = transaction
        self._now = now

    async def get(self, key: str, /) -> tuple[Budget, float]:
        """The budget and the clock."""
        now = self._now().timestamp()
        budget, seen_at = self._tx.rates.get(key) or (Budget(), now)
        return as_of(budget, seen_at, now), now

    async def hold(self, key: str, /) -> tuple[Budget, float]:
        """The same: there is one writer at a time. Raises RuntimeError in a transaction that only reads."""
        budget, now = await self.get(key)
        self._tx.rates.put(key, (budget, now))
        return budget, now

    async def put(self, key: str, budget: Budget, /) -> None:
        """Replace."""
        self._tx.rates.put(key, (budget, self._now().timestamp()))
