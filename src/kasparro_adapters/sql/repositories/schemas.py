"""The remembered shapes of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import schema_versions
from kasparro_adapters.sql.session import Session
from kasparro_core.model.drift import SchemaVersion
from kasparro_core.normalize.canonical import canonical_json

_KEY = ("source", "version")
_VALUES = ("schema_hash", "schema", "run_id", "first_seen_at", "accepted_at")


class SqlSchemas:
    """The SchemaStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def newest(self, source: str, /, *, limit: int = 50) -> Sequence[SchemaVersion]:
        """Versions of a source, newest first."""
        table = schema_versions.c
        rows = await self._session.all(
            select(schema_versions).where(table.source == source).order_by(table.version.desc()).limit(limit)
        )
        return [SchemaVersion(**row._mapping) for row in rows]

    async def save(self, version: SchemaVersion, /) -> None:
        """Insert a version, or put it in the place of the one with its number."""
        insert = self._database.insert(schema_versions)
        statement = insert.on_conflict_do_update(
            index_elements=_KEY, set_={name: insert.excluded[name] for name in _VALUES}
        )
        await self._session.run(statement, {**asdict(version), "schema": canonical_json(version.schema)})
