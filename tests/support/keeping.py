"""Changes of shape, put into a store with the ids that they bring, for the tests of their readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert

from kasparro_adapters.memory import MemoryUnitOfWork
from kasparro_adapters.sql.service_tables import drift_events
from kasparro_adapters.sql.session import Session
from kasparro_core.model.finding import DriftEvent
from kasparro_core.normalize.canonical import canonical_decimal
from kasparro_core.ports import Store


async def keep(store: Store, rows: Sequence[DriftEvent]) -> None:
    """Commit the rows to a memory store or a database."""
    async with store.begin() as work:
        for row in rows:
            if isinstance(work, MemoryUnitOfWork):
                work._tx.drift_events.put(row.drift_id, row)
            else:
                await _insert(work._session, row)  # type: ignore[attr-defined]  # a port has none
        await work.commit()


async def _insert(session: Session, row: DriftEvent) -> None:
    values: dict[str, Any] = asdict(row)
    if session.dialect == "sqlite" and row.confidence is not None:
        values["confidence"] = canonical_decimal(row.confidence)
    await session.run(insert(drift_events).values(values))
