"""Canonical things and the sources' ids for them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import entities, entity_links
from kasparro_adapters.sql.session import Session
from kasparro_core.model.finding import Entity, EntityLink, EntityQuery

_COLUMNS = tuple(column for column in entities.c if column.name != "name_folded")


class SqlEntities:
    """The EntityStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def list(self, query: EntityQuery, /) -> Sequence[Entity]:
        """Entities in ascending entity_id."""
        table = entities.c
        statement = select(*_COLUMNS).order_by(table.entity_id).limit(query.limit)
        for column, wanted in ((table.kind, query.kind), (table.symbol, query.symbol)):
            if wanted is not None:
                statement = statement.where(column == wanted)
        if query.q is not None:
            statement = statement.where(self._database.contains(table.name_folded, query.q.casefold()))
        if query.after is not None:
            statement = statement.where(table.entity_id > query.after)
        return [Entity(**row._mapping) for row in await self._session.all(statement)]

    async def get(self, entity_id: int, /) -> Entity | None:
        """One entity, or None."""
        row = await self._session.first(select(*_COLUMNS).where(entities.c.entity_id == entity_id))
        return None if row is None else Entity(**row._mapping)

    async def links(self, entity_id: int, /) -> Sequence[EntityLink]:
        """The sources' ids for an entity, by source and external_id."""
        table = entity_links.c
        statement = select(entity_links).where(table.entity_id == entity_id).order_by(table.source, table.external_id)
        return [EntityLink(**row._mapping) for row in await self._session.all(statement)]
