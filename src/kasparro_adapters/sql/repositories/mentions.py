"""Which entities the articles of a source speak of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, func, insert, select, tuple_

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.identity_tables import entities, entity_keys, entity_links, entity_mentions
from kasparro_adapters.sql.repositories.identity_rows import known_of
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import records
from kasparro_core.model.entity import Known
from kasparro_core.model.mention import Mention
from kasparro_core.normalize.canonical import canonical_decimal

_MENTION, _LINK, _KEY = entity_mentions.c, entity_links.c, entity_keys.c


class SqlMentions:
    """The MentionStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def bearing(self, keys: Collection[str], /) -> Sequence[Known]:
        """By one list of keys."""
        having = select(_KEY.source, _KEY.external_id).where(self._database.among(_KEY.key, sorted(keys)))
        asset = tuple_(_LINK.source, _LINK.external_id)
        statement = select(entity_links).where(asset.in_(having)).order_by(_LINK.source, _LINK.external_id)
        return [known_of(row) for row in await self._session.all(statement)]

    async def changed(self, source: str, keys: Sequence[str], run_id: int, /) -> Collection[str]:
        """By one list of keys."""
        table = records.c
        mine = (table.source == source) & self._database.among(table.key, keys) & (table.run_id == run_id)
        return {row.key for row in await self._session.all(select(table.key).where(mine))}

    async def put(self, source: str, mentions: Mapping[str, Sequence[Mention]], /) -> None:
        """Out with the old, in with the new."""
        old = (_MENTION.source == source) & self._database.among(_MENTION.key, sorted(mentions))
        await self._session.run(delete(entity_mentions).where(old))
        rows = [
            {"source": source, "key": key, **mention._asdict(), "confidence": self._number(mention)}
            for key, found in mentions.items()
            for mention in found
        ]
        if rows:
            await self._session.run(insert(entity_mentions), rows)

    async def of(self, source: str, key: str, /) -> Sequence[Mention]:
        """Each with what its entity is called now."""
        now = func.coalesce(entities.c.merged_into, _MENTION.entity_id)
        statement = (
            select(now.label("entity_id"), _MENTION.method, _MENTION.confidence)
            .outerjoin(entities, entities.c.entity_id == _MENTION.entity_id)
            .where(_MENTION.source == source, _MENTION.key == key)
            .order_by(now, _MENTION.confidence.desc())
        )
        rows = await self._session.all(statement)
        return list({row.entity_id: Mention(*row) for row in reversed(rows)}.values())[::-1]

    def _number(self, mention: Mention) -> object:
        """SQLite's numbers are binary."""
        is_text = self._session.dialect == "sqlite"
        return canonical_decimal(mention.confidence) if is_text else mention.confidence
