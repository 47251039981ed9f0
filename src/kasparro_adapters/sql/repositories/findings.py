"""Changes of shape, and runs that stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, insert, select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import anomalies, drift_events
from kasparro_adapters.sql.session import Session
from kasparro_core.model.finding import Anomaly, DriftEvent, FindingQuery
from kasparro_core.normalize.canonical import canonical_decimal


class SqlFindings:
    """The FindingStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

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
        rows = await self._newest(drift_events, drift_events.c.drift_id, query)
        return [DriftEvent(**row._mapping) for row in rows]

    async def anomalies(self, query: FindingQuery, /) -> Sequence[Anomaly]:
        """Runs that stand out, newest first."""
        rows = await self._newest(anomalies, anomalies.c.anomaly_id, query)
        return [Anomaly(**row._mapping) for row in rows]

    async def _newest(self, table: Table, key: ColumnElement[int], query: FindingQuery) -> Sequence[Row[Any]]:
        statement = select(table).order_by(key.desc()).limit(query.limit)
        if query.source is not None:
            statement = statement.where(table.c.source == query.source)
        if query.run_id is not None:
            statement = statement.where(table.c.run_id == query.run_id)
        if query.before is not None:
            statement = statement.where(key < query.before)
        return await self._session.all(statement)
