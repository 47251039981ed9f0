"""A database whose clock was set back."""

from __future__ import annotations

import pytest

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.sql import SqlStore
from kasparro_core.model.budget import Budget
from kasparro_core.policy import Pace, reserve
from kasparro_core.services.budgets import StoredBudgets

HOUR = 3_600.0


async def test_an_hour_back_is_not_an_hour_of_waiting(database_url: str) -> None:
    """A row that was kept at ten o'clock is read at nine, because the clock was set: its slots are those of nine."""
    store = SqlStore(database_url)
    budgets = StoredBudgets(store, SystemClock())
    _, now, _ = await budgets.change("api.test", lambda _, now: (Budget(next_at=now + HOUR + 2.0), None))
    later = {
        "sqlite": "UPDATE rate_limits SET seen_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+3600 seconds')",
        "postgresql": "UPDATE rate_limits SET seen_at = clock_timestamp() + interval '1 hour'",
    }
    async with store.begin() as work:
        await work._session.driver_sql(later[work._session.dialect])
        await work.commit()
    _, _, (slot,) = await budgets.change("api.test", lambda budget, at: reserve(budget, Pace(1.0), 1, at))
    assert slot - now == pytest.approx(2.0, abs=5.0)
    await store.close()
