"""Budgets in a process and in a store: what is kept, and what happens while the store is away."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from scripted import SteppingClock

from kasparro_adapters.memory import MemoryStore
from kasparro_core.errors import PermanentStorageError, TransientStorageError
from kasparro_core.model.budget import Budget
from kasparro_core.services.budgets import LocalBudgets, StoredBudgets


def add_ten(budget, now):
    return Budget(next_at=budget.next_at + 10.0), now


class Faulty:
    """A store whose units of work fail as told, one after another, before or after their commit."""

    def __init__(self, store, *faults):
        self.store, self.faults, self.begun = store, list(faults), 0

    @asynccontextmanager
    async def begin(self, *, write=True):
        self.begun += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and fault[0] == "before":
            raise fault[1]
        async with self.store.begin(write=write) as work:
            yield work
        if fault is not None:
            raise fault[1]


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.fixture
async def store(clock):
    opened = MemoryStore(clock.now)
    yield opened
    await opened.close()


async def test_a_process_keeps_its_own(clock):
    """Each key has a budget, unused at first, and its instants are those of the process's clock."""
    budgets = LocalBudgets(clock)
    assert (await budgets.look("a"))[0] == Budget()
    budget, now, told = await budgets.change("a", add_ten)
    assert (budget, now) == (Budget(next_at=10.0), pytest.approx(told))
    assert (await budgets.look("a"))[0] == Budget(next_at=10.0)
    assert (await budgets.look("b"))[0] == Budget()


async def test_a_store_keeps_them_for_all(store, clock):
    """What one process changed the next one sees, by the clock of the store."""
    budget, now, told = await StoredBudgets(store, clock).change("a", add_ten)
    assert budget == Budget(next_at=10.0)
    assert told == pytest.approx(clock.now().timestamp(), abs=1)
    assert now >= told
    assert (await StoredBudgets(store, clock).look("a"))[0] == Budget(next_at=10.0)


async def test_the_instant_is_that_of_the_end(store, clock):
    """A slow commit is part of the present: the instant that comes back lies after it, by as much as it took."""

    class Slow:
        @asynccontextmanager
        async def begin(self, *, write=True):
            async with store.begin(write=write) as work:
                commit = work.commit

                async def late():
                    await clock.sleep(3.0)
                    await commit()

                work.commit = late
                yield work

    _, now, told = await StoredBudgets(Slow(), clock).change("a", add_ten)
    assert now - told == pytest.approx(3.0, abs=0.01)


async def test_a_fault_that_passes_is_waited_for(store, clock):
    """A locked database is asked again, and the step taken once."""
    faulty = Faulty(store, ("before", TransientStorageError("locked")), ("before", TransientStorageError("locked")))
    await StoredBudgets(faulty, clock).change("a", add_ten)
    assert faulty.begun == 3
    assert (await StoredBudgets(store, clock).look("a"))[0] == Budget(next_at=10.0)


async def test_a_lost_answer_costs_slots_and_never_gives_one_twice(store, clock):
    """Where a commit happened and its answer was lost, the step is taken again on top of it."""
    faulty = Faulty(store, ("after", TransientStorageError("connection lost")))
    budget, _, _ = await StoredBudgets(faulty, clock).change("a", add_ten)
    assert budget == Budget(next_at=20.0)


@pytest.mark.parametrize("error", [TransientStorageError("away"), PermanentStorageError("read-only")])
async def test_without_the_store_nothing_is_promised(store, clock, error):
    """A store that stays away is an error of the database, told as one; nothing was reserved."""
    faulty = Faulty(store, *[("before", error)] * 9)
    with pytest.raises(type(error), match=error.message):
        await StoredBudgets(faulty, clock).change("a", add_ten)
    assert sum(clock.slept) < 5
    assert (await StoredBudgets(store, clock).look("a"))[0] == Budget()
