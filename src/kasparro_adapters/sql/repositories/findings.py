"""Changes of shape, beside what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import insert, select

from kasparro_adapters.sql.repositories.anomalies import SqlAnomalies
from kasparro_adapters.sql.service_tables import drift_events
from kasparro_core.model.finding import DriftEvent, FindingQuery
from kasparro_core.normalize.canonical import canonical_decimal


class SqlFindings(SqlAnomalies):
    """The FindingStore of one transaction."""

    async def add_drift(self, events: Sequence[DriftEvent], /) -> None:
        """Keep changes of shape, each under the next drift_id."""
        rows = [{name: value for name, value in asdict(event).items() if name != "drift_id"} for event in events]
        if rows and self._session.dialect == "sqlite":  # whose numbers are binary
            for row in rows:
                row["confidence"] = row["confidence"] and canonical_decimal(row["confidence"])
        if rows:
            await self._session.run(insert(drift_events), rows)

    async def drift(self, query: FindingQuery, /) -> Sequence[DriftEvent]:
        """Changes of shape, newest first."""
        table = drift_events.c
        statement = select(drift_events).order_by(table.drift_id.desc()).limit(query.limit)
        if query.source is not None:
            statement = statement.where(table.source == query.source)
        if query.run_id is not None:
            statement = statement.where(table.run_id == query.run_id)
        if query.before is not None:
            statement = statement.where(table.drift_id < query.before)
        return [DriftEvent(**row._mapping) for row in await self._session.all(statement)]
