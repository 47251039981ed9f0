"""Entities and changes of shape, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

from kasparro_adapters.memory.anomalies import MemoryAnomalies
from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model.drift import SchemaVersion
from kasparro_core.model.finding import DriftEvent, FindingQuery
from kasparro_core.normalize.canonical import canonical_json, parse_json


class MemoryFindings(MemoryAnomalies):
    """The FindingStore of a memory store."""

    async def add_drift(self, events: Sequence[DriftEvent], /) -> None:
        """Keep changes of shape, each under the next drift_id."""
        for event in events:
            drift_id = self._tx.next("drift_events")
            self._tx.drift_events.put(drift_id, replace(event, drift_id=drift_id))

    async def drift(self, query: FindingQuery, /) -> Sequence[DriftEvent]:
        """Changes of shape, newest first."""
        return _newest(self._tx.drift_events.rows(), query)


class MemorySchemas:
    """The SchemaStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def newest(self, source: str, /, *, limit: int = 50) -> Sequence[SchemaVersion]:
        """Versions of a source, newest first."""
        rows = [row for row in self._tx.schemas.rows() if row.source == source]
        return sorted(rows, key=attrgetter("version"), reverse=True)[:limit]

    async def save(self, version: SchemaVersion, /) -> None:
        """Insert a version, or put it in the place of the one with its number."""
        schema = parse_json(canonical_json(version.schema))  # as it comes back from a database
        self._tx.schemas.put((version.source, version.version), replace(version, schema=schema))


def _newest(rows: Iterable[DriftEvent], query: FindingQuery) -> list[DriftEvent]:
    matching = (
        row
        for row in rows
        if query.source in (None, row.source)
        and query.run_id in (None, row.run_id)
        and (query.before is None or row.drift_id < query.before)
    )
    return sorted(matching, key=attrgetter("drift_id"), reverse=True)[: query.limit]
