"""Keys of the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import api_keys
from kasparro_adapters.sql.session import Session
from kasparro_core.errors import ConflictError
from kasparro_core.model import ApiKey, Scope


class SqlKeys:
    """The KeyStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def add(self, key: ApiKey, /) -> None:
        """Insert, or find the name taken."""
        insert = self._database.insert(api_keys).on_conflict_do_nothing().returning(api_keys.c.name)
        added = await self._session.first(
            insert.values(
                name=key.name,
                scope=str(key.scope),
                key_hash=key.key_hash,
                created_at=key.created_at,
                revoked_at=key.revoked_at,
            )
        )
        if added is None:
            raise ConflictError(f"There is or was a key named {key.name!r} already.", hint="Choose another name.")

    async def list(self) -> Sequence[ApiKey]:
        """All keys by name."""
        rows = await self._session.all(select(api_keys).order_by(api_keys.c.name))
        return [ApiKey(row.name, Scope(row.scope), row.key_hash, row.created_at, row.revoked_at) for row in rows]

    async def revoke(self, name: str, at: datetime, /) -> bool:
        """Revoke one that still works."""
        working = (api_keys.c.name == name) & api_keys.c.revoked_at.is_(None)
        revoked = update(api_keys).where(working).values(revoked_at=at).returning(api_keys.c.name)
        return await self._session.first(revoked) is not None
