"""What a process remembers of a shared budget when answers of its keeper overtake one another."""

from __future__ import annotations

import asyncio
from typing import Any

from scripted import SteppingClock

from kasparro_adapters.http.lane import Lane
from kasparro_core.model.budget import Budget
from kasparro_core.policy.rate_limit import Pace
from kasparro_core.ports.budgets import Change
from kasparro_core.services.budgets import LocalBudgets

SLOW = Pace(rate=0.5)


class LateBudgets(LocalBudgets):
    """Answers a look as it found the budget, and not before `go` is set: as a database over a slow connection.
    Right before the change of the number `pulled_with` somebody else forgets all slots."""

    def __init__(self, clock: SteppingClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.changes, self.pulled_with = 0, 0
        self.go = asyncio.Event()
        self.go.set()

    async def look(self, key: str, /) -> tuple[Budget, float]:
        found = await super().look(key)
        await self.go.wait()
        return found

    async def change(self, key: str, step: Change[Any], /) -> tuple[Budget, float, Any]:
        await asyncio.sleep(0)
        self.changes += 1
        if self.changes == self.pulled_with:
            self._budgets[key] = Budget()
        return await super().change(key, step)


async def test_an_answer_that_was_overtaken_is_not_taken_for_earlier_slots() -> None:
    """A look that began before a slot was reserved, and is answered behind it, leaves what is known of the schedule."""
    budgets = LateBudgets(SteppingClock())
    lane = Lane("api.test", budgets.clock, budgets)
    await lane.slot(SLOW)
    before = lane.schedule
    budgets.go.clear()
    looking = asyncio.create_task(lane.look())
    await asyncio.sleep(0)
    budgets.clock.skip(0.01)
    assert await lane.slot(SLOW) == 2.0
    budgets.go.set()
    await looking
    assert lane.schedule == before
    assert (await lane.budget()).next_at == 4.0


async def test_slots_that_are_reserved_on_a_schedule_pulled_forward_are_kept() -> None:
    """Another process hears that more is left, and the next two slots are reserved in one step: both are given out."""
    budgets = LateBudgets(SteppingClock())
    lane = Lane("api.test", budgets.clock, budgets)
    await budgets.change("api.test", lambda _, __: (Budget(next_at=900.0), None))
    budgets.pulled_with = 3
    assert await asyncio.gather(*(lane.slot(Pace(rate=4.0)) for _ in range(3))) == [900.0, 0.0, 0.25]
