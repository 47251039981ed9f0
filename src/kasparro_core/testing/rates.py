"""The contract of RateStore."""

from __future__ import annotations

import asyncio

import pytest

from kasparro_core.model.budget import Budget
from kasparro_core.ports import Store

BUDGET = Budget(
    next_at=1_800_000_000.25,
    closed_until=1_800_000_010.123456,
    lowered_to=0.75,
    lowered_at=1_799_999_999.0,
    paced_to=2.5,
    paced_until=1_800_000_060.0,
    places=(("one", 1_800_000_090.5), ("two", 1_800_000_091.0)),
)


class RateContract:
    """Rate budgets. Needs a fixture `store`: migrated and empty."""

    async def test_an_unknown_key_has_an_unused_budget(self, store: Store) -> None:
        """Reading a key makes nothing of it, and tells the database's present instant."""
        async with store.begin(write=False) as work:
            budget, now = await work.rates.get("api.test")
            clock = await work.schedules.now()
        assert budget == Budget()
        assert now == pytest.approx(clock.timestamp(), abs=5)

    async def test_keeps_every_field_of_a_key(self, store: Store) -> None:
        """Rates and places come back exactly, instants to the microsecond; other keys are not touched."""
        await _put(store, "api.test", BUDGET)
        await _put(store, "other.test", Budget(next_at=5.0))
        found = await _get(store, "api.test")
        assert (found.lowered_to, found.paced_to) == (0.75, 2.5)
        assert dict(found.places) == dict(BUDGET.places)
        for name in ("next_at", "closed_until", "lowered_at", "paced_until"):
            assert getattr(found, name) == pytest.approx(getattr(BUDGET, name), abs=1e-6)
        assert await _get(store, "other.test") == Budget(next_at=5.0)

    async def test_an_instant_beyond_all_calendars_is_kept_as_the_last_one(self, store: Store) -> None:
        """A budget that is closed for millions of years can be kept and read: it is closed then too."""
        await _put(store, "api.test", Budget(closed_until=1e15, next_at=1e15))
        found = await _get(store, "api.test")
        assert min(found.closed_until, found.next_at) > 200_000_000_000

    async def test_what_is_over_is_forgotten(self, store: Store) -> None:
        """Putting an unused budget back leaves nothing of the earlier one."""
        await _put(store, "api.test", BUDGET)
        await _put(store, "api.test", Budget())
        assert await _get(store, "api.test") == Budget()

    async def test_holding_alone_changes_nothing(self, store: Store) -> None:
        """A holder that puts nothing leaves what was there, committed or not."""
        await _put(store, "api.test", Budget(next_at=7.0))
        for commit in (False, True):
            async with store.begin() as work:
                held, _ = await work.rates.hold("api.test")
                assert held == Budget(next_at=7.0)
                if commit:
                    await work.commit()
        assert await _get(store, "api.test") == Budget(next_at=7.0)

    async def test_what_is_not_committed_is_not_kept(self, store: Store) -> None:
        """A transaction that ends without a commit moves no budget."""
        async with store.begin() as work:
            await work.rates.hold("api.test")
            await work.rates.put("api.test", BUDGET)
        assert await _get(store, "api.test") == Budget()

    async def test_one_holder_at_a_time(self, store: Store) -> None:
        """Of many who add one second each at the same time, none is lost: a key is held until its transaction ends."""

        async def add() -> None:
            async with store.begin() as work:
                budget, _ = await work.rates.hold("api.test")
                await asyncio.sleep(0)
                await work.rates.put("api.test", Budget(next_at=budget.next_at + 1.0))
                await work.commit()

        await asyncio.gather(*(add() for _ in range(12)))
        assert await _get(store, "api.test") == Budget(next_at=12.0)

    async def test_the_instant_is_that_of_holding(self, store: Store) -> None:
        """Whoever waits for a key is told the instant at which he has it, not the one at which he asked: instants of
        holders never go back."""
        instants: list[float] = []

        async def look() -> None:
            async with store.begin() as work:
                instants.append((await work.rates.hold("api.test"))[1])
                await asyncio.sleep(0.002)
                await work.commit()

        await asyncio.gather(*(look() for _ in range(5)))
        assert instants == sorted(instants)


async def _put(store: Store, key: str, budget: Budget) -> None:
    async with store.begin() as work:
        await work.rates.hold(key)
        await work.rates.put(key, budget)
        await work.commit()


async def _get(store: Store, key: str) -> Budget:
    async with store.begin(write=False) as work:
        return (await work.rates.get(key))[0]
