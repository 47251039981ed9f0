"""Sums per source that no pruning lowers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import run_totals
from kasparro_adapters.sql.session import Session
from kasparro_core.model import Amounts, Metric, Total

_KEY = ("source", "metric", "label")


class SqlTotals:
    """The TotalsStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def add(self, source: str, amounts: Amounts, /) -> None:
        """One upsert. Rows are locked in the order of their key, so that two transactions never wait in a circle."""
        rows = [
            {"source": source, "metric": str(metric), "label": label, "value": amount}
            for (metric, label), amount in sorted(amounts.items())
            if amount
        ]
        if not rows:
            return
        insert = self._database.insert(run_totals)
        total = run_totals.c.value + insert.excluded.value
        await self._session.run(insert.on_conflict_do_update(index_elements=_KEY, set_={"value": total}), rows)

    async def list(self, source: str | None = None, /) -> Sequence[Total]:
        """All sums in the order of the key."""
        statement = select(run_totals).order_by(*(run_totals.c[name] for name in _KEY))
        if source is not None:
            statement = statement.where(run_totals.c.source == source)
        rows = await self._session.all(statement)
        return [Total(row.source, Metric(row.metric), row.label, row.value) for row in rows]
