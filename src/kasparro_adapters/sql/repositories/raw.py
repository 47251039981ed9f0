"""Raw payloads by content."""

from __future__ import annotations

import asyncio
import json

from sqlalchemy import ColumnElement, and_, select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import raw_batches
from kasparro_core.model import PackedPayload, RawPayload, StoredRaw, unpack


class SqlRaw:
    """The RawStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def put(self, source: str, partition: str, packed: PackedPayload, /) -> int:
        """Look first, so that known bytes are not sent again; a concurrent insert of the same is found at the end. What
        is found stays locked against pruning until this transaction ends: its read is not noted yet."""
        known = await self._find(source, partition, packed)
        if known is not None:
            return known
        statement = self._database.insert(raw_batches).on_conflict_do_nothing().returning(raw_batches.c.raw_id)
        row = await self._session.first(
            statement.values(
                source=source,
                partition=partition,
                content_hash=packed.content_hash,
                facts_hash=packed.facts_hash,
                codec=packed.codec,
                payload=packed.packed,
                decode_facts=packed.decode_facts,
                record_count=packed.record_count,
            )
        )
        raw_id = row[0] if row is not None else await self._find(source, partition, packed)
        if raw_id is None:
            raise RuntimeError("a raw payload conflicted with a row that cannot be seen")
        return int(raw_id)

    async def get(self, raw_id: int, /) -> StoredRaw | None:
        """A payload; it is unpacked in a worker thread."""
        return await self._stored(raw_batches.c.raw_id == raw_id)

    async def find(self, source: str, partition: str, identity: str, /) -> StoredRaw | None:
        """The payload of a partition with this identity, or None."""
        content_hash, _, facts_hash = identity.partition(":")
        return await self._stored(_same(source, partition, content_hash, facts_hash))

    async def _stored(self, wanted: ColumnElement[bool]) -> StoredRaw | None:
        row = await self._session.first(select(raw_batches).where(wanted))
        if row is None:
            return None
        payload = await asyncio.to_thread(unpack, row.codec, row.payload)
        return StoredRaw(
            raw_id=row.raw_id,
            source=row.source,
            partition=row.partition,
            content_hash=row.content_hash,
            raw=RawPayload(payload, json.loads(row.decode_facts)),
            record_count=row.record_count,
        )

    async def _find(self, source: str, partition: str, packed: PackedPayload) -> int | None:
        statement = select(raw_batches.c.raw_id).where(_same(source, partition, packed.content_hash, packed.facts_hash))
        row = await self._session.first(statement.with_for_update(read=True, key_share=True))
        return None if row is None else int(row[0])


def _same(source: str, partition: str, content_hash: str, facts_hash: str) -> ColumnElement[bool]:
    table = raw_batches.c
    return and_(
        table.source == source,
        table.partition == partition,
        table.content_hash == content_hash,
        table.facts_hash == facts_hash,
    )
