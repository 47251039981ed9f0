"""What makes requests conditional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import delete, select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import http_validators
from kasparro_core.model import Validator

_KEY = (http_validators.c.source, http_validators.c.partition, http_validators.c.request_hash)
_VALUES = ("etag", "last_modified", "body_hash", "item_count", "next", "cache_control", "expires", "refused")
_CHUNK = 500  # bound parameters of one statement


class SqlValidators:
    """The ValidatorStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def load(self, source: str, partition: str, /) -> Mapping[str, Validator]:
        """All validators of a partition by request_hash."""
        table = http_validators.c
        columns = (table.request_hash, *(table[name] for name in _VALUES))
        rows = await self._session.all(select(*columns).where(table.source == source, table.partition == partition))
        return {row.request_hash: Validator(**row._mapping) for row in rows}

    async def save(self, source: str, partition: str, validators: Sequence[Validator], /) -> None:
        """Insert or replace by request_hash."""
        if not validators:
            return
        insert = self._database.insert(http_validators)
        statement = insert.on_conflict_do_update(
            index_elements=_KEY, set_={name: insert.excluded[name] for name in _VALUES}
        )
        rows = [{"source": source, "partition": partition, **asdict(validator)} for validator in validators]
        await self._session.run(statement, rows)

    async def forget(self, source: str, partition: str, requests: Sequence[str] | None = None, /) -> int:
        """Remove those of these requests, or all of a partition."""
        table = http_validators.c
        statement = delete(http_validators).where(table.source == source, table.partition == partition)
        if requests is None:
            return (await self._session.run(statement)).rowcount
        chunks = (requests[at : at + _CHUNK] for at in range(0, len(requests), _CHUNK))
        gone = [await self._session.run(statement.where(table.request_hash.in_(chunk))) for chunk in chunks]
        return sum(each.rowcount for each in gone)
