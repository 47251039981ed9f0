"""Entities, changes of shape and runs that stand out, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import TypeVar

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model.drift import SchemaVersion
from kasparro_core.model.finding import Anomaly, DriftEvent, Entity, EntityLink, EntityQuery, FindingQuery
from kasparro_core.normalize.canonical import canonical_json, parse_json

F = TypeVar("F", DriftEvent, Anomaly)


class MemoryEntities:
    """The EntityStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def list(self, query: EntityQuery, /) -> Sequence[Entity]:
        """Entities in ascending entity_id."""
        rows = sorted(self._tx.entities.rows(), key=attrgetter("entity_id"))
        return list(islice((row for row in rows if _matches(row, query)), query.limit))

    async def get(self, entity_id: int, /) -> Entity | None:
        """One entity, or None."""
        return self._tx.entities.get(entity_id)

    async def links(self, entity_id: int, /) -> Sequence[EntityLink]:
        """The sources' ids for an entity, by source and external_id."""
        links = (link for link in self._tx.links.rows() if link.entity_id == entity_id)
        return sorted(links, key=attrgetter("source", "external_id"))


class MemoryFindings:
    """The FindingStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add_drift(self, events: Sequence[DriftEvent], /) -> None:
        """Keep changes of shape, each under the next drift_id."""
        for event in events:
            drift_id = self._tx.next("drift_events")
            self._tx.drift_events.put(drift_id, replace(event, drift_id=drift_id))

    async def drift(self, query: FindingQuery, /) -> Sequence[DriftEvent]:
        """Changes of shape, newest first."""
        return _newest(self._tx.drift_events.rows(), "drift_id", query)

    async def anomalies(self, query: FindingQuery, /) -> Sequence[Anomaly]:
        """Runs that stand out, newest first."""
        return _newest(self._tx.anomalies.rows(), "anomaly_id", query)


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


def _matches(row: Entity, query: EntityQuery) -> bool:
    return (
        query.kind in (None, row.kind)
        and query.symbol in (None, row.symbol)
        and (query.q is None or (row.name is not None and query.q.casefold() in row.name.casefold()))
        and (query.after is None or row.entity_id > query.after)
    )


def _newest(rows: Iterable[F], key: str, query: FindingQuery) -> list[F]:
    place = attrgetter(key)
    matching = (
        row
        for row in rows
        if query.source in (None, row.source)
        and query.run_id in (None, row.run_id)
        and (query.before is None or place(row) < query.before)
    )
    return sorted(matching, key=place, reverse=True)[: query.limit]
