"""Canonical things and the sources' ids for them, as people look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Numeric, Select, cast, func, or_, select, tuple_

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.identity_tables import (
    MERGED,
    entities,
    entity_candidates,
    entity_links,
    entity_namings,
    entity_rulings,
)
from kasparro_adapters.sql.repositories.identity_rows import (
    ENTITY,
    candidate_of,
    entity_of,
    known_of,
    link_of,
    ruling_of,
)
from kasparro_adapters.sql.session import Session
from kasparro_core.model.entity import (
    AssetId,
    Candidate,
    Entity,
    EntityLink,
    EntityQuery,
    IdentityCounts,
    Known,
    Naming,
    Ruling,
)


class SqlEntities:
    """The EntityStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def list(self, query: EntityQuery, /) -> Sequence[Entity]:
        """Entities in ascending entity_id."""
        table = entities.c
        statement = select(*ENTITY).order_by(table.entity_id).limit(query.limit)
        for column, wanted in ((table.kind, query.kind), (table.symbol, query.symbol)):
            if wanted is not None:
                statement = statement.where(column == wanted)
        if query.q is not None:
            statement = statement.where(self._holds(query.q.casefold(), query))
        if query.after is not None:
            statement = statement.where(table.entity_id > query.after)
        if not query.merged:
            statement = statement.where(table.merged_into.is_(None))
        return [entity_of(row) for row in await self._session.all(statement)]

    async def get(self, entity_id: str, /) -> Entity | None:
        """One entity, or None."""
        row = await self._session.first(select(*ENTITY).where(entities.c.entity_id == entity_id))
        return None if row is None else entity_of(row)

    async def links(self, entity_id: str, /) -> Sequence[EntityLink]:
        """The sources' ids for an entity, by source and external_id."""
        table = entity_links.c
        statement = select(entity_links).where(table.entity_id == entity_id).order_by(table.source, table.external_id)
        return [link_of(row) for row in await self._session.all(statement)]

    async def claims(self, assets: Sequence[AssetId], /) -> Mapping[AssetId, Known]:
        """What is kept of these assets."""
        given, table = self._database.pairs(assets), entity_links.c
        joined = (table.source == given.c.source) & (table.external_id == given.c.external_id)
        found = [known_of(row) for row in await self._session.all(select(entity_links).join(given, joined))]
        return {known.claim.asset: known for known in found}

    async def known(self, *, after: AssetId | None = None, limit: int = 50) -> Sequence[Known]:
        """In the order of the primary key."""
        place = tuple_(entity_links.c.source, entity_links.c.external_id)
        statement = select(entity_links).order_by(*entity_links.primary_key).limit(limit)
        statement = statement if after is None else statement.where(place > tuple_(*after))
        return [known_of(row) for row in await self._session.all(statement)]

    async def candidates(
        self, *, entity_id: str | None = None, after: Candidate | None = None, limit: int = 50
    ) -> Sequence[Candidate]:
        """The surest first."""
        table = entity_candidates.c
        pair = (table.a_source, table.a_id, table.b_source, table.b_id)
        sure = cast(table.confidence, Numeric)  # SQLite keeps the digits as text, and sorts numbers alone as numbers
        statement = select(entity_candidates).order_by(sure.desc(), *pair).limit(limit)
        if entity_id is not None:
            statement = statement.where(or_(_stands(pair[:2], entity_id), _stands(pair[2:], entity_id)))
        if after is not None:
            behind = tuple_(*pair) > tuple_(*after.a, *after.b)
            statement = statement.where((sure < after.confidence) | ((sure == after.confidence) & behind))
        return [candidate_of(row) for row in await self._session.all(statement)]

    async def namings(self) -> Sequence[Naming]:
        """All of them, in one look."""
        rows = await self._session.all(select(entity_namings).order_by(*entity_namings.primary_key))
        return [Naming(AssetId(row.source, row.external_id), row.entity_id) for row in rows]

    async def rulings(self, *, undone: bool = False, before: int | None = None, limit: int = 50) -> Sequence[Ruling]:
        """The newest first."""
        table = entity_rulings.c
        statement = select(entity_rulings).order_by(table.ruling_id.desc()).limit(limit)
        if not undone:
            statement = statement.where(table.undone_at.is_(None))
        if before is not None:
            statement = statement.where(table.ruling_id < before)
        return [ruling_of(row) for row in await self._session.all(statement)]

    async def counts(self) -> IdentityCounts:
        """Each by an index alone."""
        every = await self._count(select(func.count()).select_from(entities))
        merged = await self._count(select(func.count()).select_from(entities).where(MERGED))
        candidates = await self._count(select(func.count()).select_from(entity_candidates))
        method = entity_links.c.method
        rows = await self._session.all(select(method, func.count().label("links")).group_by(method).order_by(method))
        return IdentityCounts(every - merged, merged, {row.method: row.links for row in rows}, candidates)

    def _holds(self, folded: str, query: EntityQuery) -> ColumnElement[bool]:
        """lower() makes the letters of ASCII small, and on both databases no others: ids are collated as "C"."""
        contains, table = self._database.contains, entities.c
        in_symbol = contains(table.symbol, query.q_in_symbols)
        return or_(
            contains(table.name_folded, folded), contains(func.lower(table.entity_id), query.q_in_ids), in_symbol
        )

    async def _count(self, statement: Select[int]) -> int:
        return int((await self._session.run(statement)).scalar_one())


def _stands(asset: tuple[ColumnElement[str], ...], entity_id: str) -> ColumnElement[bool]:
    """The asset is linked to the entity."""
    link = entity_links.c
    members = select(link.source, link.external_id).where(link.entity_id == entity_id)
    return tuple_(*asset).in_(members)
