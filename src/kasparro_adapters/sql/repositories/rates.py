"""Rate budgets, by the database's clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.rate_tables import rate_limits
from kasparro_adapters.sql.session import Session
from kasparro_core.model.budget import Budget, as_of

_NOW = "now_is"

_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The latest instant that is kept: there are no later ones to be kept."""


class SqlRates:
    """The RateStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._clock = database.now()
        self._now = self._clock.label(_NOW)
        self._insert = database.insert(rate_limits)

    async def get(self, key: str, /) -> tuple[Budget, float]:
        """Row and clock in one statement; the clock alone where there is no row."""
        row = await self._session.first(select(rate_limits, self._now).where(rate_limits.c.key == key))
        if row is not None:
            return _budget(row), _now(row)
        alone = await self._session.run(select(self._now))
        return Budget(), _now(alone.one())

    async def hold(self, key: str, /) -> tuple[Budget, float]:
        """An upsert that changes nothing: it makes the row if need be, and keeps it locked until the transaction ends.
        What it returns is computed when the lock is had."""
        held = self._insert.values(key=key).on_conflict_do_update(index_elements=["key"], set_={"key": key})
        row = (await self._session.run(held.returning(*rate_limits.c, self._now))).one()
        return _budget(row), _now(row)

    async def put(self, key: str, budget: Budget, /) -> None:
        """One update."""
        values = {
            "next_at": _instant(budget.next_at),
            "closed_until": _instant(budget.closed_until),
            "lowered_to": budget.lowered_to,
            "lowered_at": _instant(budget.lowered_at),
            "paced_to": budget.paced_to,
            "paced_until": _instant(budget.paced_until),
            "places": json.dumps(dict(budget.places)) if budget.places else None,
            "seen_at": self._clock,
        }
        await self._session.run(update(rate_limits).where(rate_limits.c.key == key).values(values))


def _budget(row: Row[Any]) -> Budget:
    kept = Budget(
        next_at=_seconds(row.next_at),
        closed_until=_seconds(row.closed_until),
        lowered_to=row.lowered_to,
        lowered_at=_seconds(row.lowered_at),
        paced_to=row.paced_to,
        paced_until=_seconds(row.paced_until),
        places=tuple((name, float(until)) for name, until in (row.places or {}).items()),
    )
    return as_of(kept, _seconds(row.seen_at), _now(row))


def _now(row: Row[Any]) -> float:
    return _seconds(getattr(row, _NOW))


def _seconds(instant: datetime | None) -> float:
    return 0.0 if instant is None else instant.timestamp()


def _instant(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(min(seconds, _LAST), UTC) if seconds > 0 else None
