"""Where budgets are kept: in this process, or in the store, for all processes on it."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from kasparro_core.model.budget import Budget
from kasparro_core.ports.budgets import Change
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.unit import Store
from kasparro_core.services.steps import retried

T = TypeVar("T")


class LocalBudgets:
    """Budgets of this process alone. Instants are those of the clock's `monotonic`."""

    shared = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budgets: defaultdict[str, Budget] = defaultdict(Budget)

    async def look(self, key: str, /) -> tuple[Budget, float]:
        """See `Budgets.look`. Never fails."""
        return self._budgets[key], self._clock.monotonic()

    async def change(self, key: str, step: Change[T], /) -> tuple[Budget, float, T]:
        """See `Budgets.change`. Never fails, and nothing is awaited on the way."""
        now = self._clock.monotonic()
        self._budgets[key], told = step(self._budgets[key], now)
        return self._budgets[key], now, told


class StoredBudgets:
    """Budgets in the table `rate_limits`, one transaction of its own for each step: never inside that of a batch.

    While the database is away nothing can be reserved: a step is tried again for a few seconds, then its StorageError
    ends the run, as it would at the run's next commit. Nothing is sent on credit.
    """

    shared = True

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def look(self, key: str, /) -> tuple[Budget, float]:
        """See `Budgets.look`."""

        async def once() -> tuple[Budget, float]:
            async with self._store.begin(write=False) as work:
                return await work.rates.get(key)

        return await retried(self._clock, once)

    async def change(self, key: str, step: Change[T], /) -> tuple[Budget, float, T]:
        """See `Budgets.change`. A commit whose answer was lost may have happened: its slots are then taken for nothing,
        and others are taken."""

        async def once() -> tuple[Budget, float, T]:
            async with self._store.begin() as work:
                before, now = await work.rates.hold(key)
                held_at = self._clock.monotonic()
                budget, told = step(before, now)
                await work.rates.put(key, budget)
                await work.commit()
            return budget, now + self._clock.monotonic() - held_at, told

        return await retried(self._clock, once)
