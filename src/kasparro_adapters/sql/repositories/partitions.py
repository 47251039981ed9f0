"""How each partition did last."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import partitions
from kasparro_core.model import PartitionState


class SqlPartitions:
    """The PartitionStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def save(self, state: PartitionState, /) -> None:
        """Insert or replace."""
        insert = self._database.insert(partitions).values(asdict(state))
        replaced = {column.name: insert.excluded[column.name] for column in partitions.c if not column.primary_key}
        await self._session.run(
            insert.on_conflict_do_update(index_elements=[partitions.c.source, partitions.c.partition], set_=replaced)
        )

    async def list(self, source: str | None = None, /) -> list[PartitionState]:
        """All partitions by source and partition."""
        statement = select(partitions).order_by(partitions.c.source, partitions.c.partition)
        if source is not None:
            statement = statement.where(partitions.c.source == source)
        return [_partition(row) for row in await self._session.all(statement)]


def _partition(row: Row[Any]) -> PartitionState:
    return PartitionState(**row._mapping)
