"""Rows of tables that nothing of this version writes: put into a store as they are, for the tests of their readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, insert

from kasparro_adapters.memory import MemoryUnitOfWork
from kasparro_adapters.memory.tables import Transaction
from kasparro_adapters.sql.service_tables import anomalies, drift_events, entities, entity_links
from kasparro_adapters.sql.session import Session
from kasparro_core.model.finding import Anomaly, DriftEvent, Entity, EntityLink
from kasparro_core.normalize.canonical import canonical_decimal
from kasparro_core.ports import Store
from kasparro_core.testing.entities import Found

TABLES: dict[type[Found], Table] = {
    Entity: entities,
    EntityLink: entity_links,
    DriftEvent: drift_events,
    Anomaly: anomalies,
}


async def keep(store: Store, rows: Sequence[Found]) -> None:
    """Commit the rows to a memory store or a database."""
    async with store.begin() as work:
        for row in rows:
            if isinstance(work, MemoryUnitOfWork):
                _put(work._tx, row)
            else:
                await _insert(work._session, row)  # type: ignore[attr-defined]  # a port has none
        await work.commit()


def _put(tx: Transaction, row: Found) -> None:
    match row:
        case Entity():
            tx.entities.put(row.entity_id, row)
        case EntityLink():
            tx.links.put((row.source, row.external_id), row)
        case DriftEvent():
            tx.drift_events.put(row.drift_id, row)
        case Anomaly():
            tx.anomalies.put(row.anomaly_id, row)


async def _insert(session: Session, row: Found) -> None:
    values: dict[str, Any] = asdict(row)
    if isinstance(row, Entity):
        values["name_folded"] = None if row.name is None else row.name.casefold()
    if session.dialect == "sqlite":
        values = {name: canonical_decimal(v) if isinstance(v, Decimal) else v for name, v in values.items()}
    await session.run(insert(TABLES[type(row)]).values(values))
