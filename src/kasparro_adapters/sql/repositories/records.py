"""Records and their earlier versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from kasparro_adapters.sql.bulk.plan import Plan, make_plan, suspects
from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.ordering import order_text
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import record_versions, records, value_order
from kasparro_core.model import (
    SLICE_ROWS,
    Observation,
    PreparedRecord,
    Record,
    RecordQuery,
    RecordVersion,
    StoredRecord,
    UpsertOutcome,
)


class SqlRecords:
    """The RecordRepository of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database
        self._bulk = database.bulk(session)

    async def upsert(self, prepared: Sequence[PreparedRecord], observation: Observation, /) -> UpsertOutcome:
        """Bring the records in, a bounded number at a time."""
        total = UpsertOutcome()
        for start in range(0, len(prepared), SLICE_ROWS):
            part = await self._merge(prepared[start : start + SLICE_ROWS], observation)
            total = UpsertOutcome(*(a + b for a, b in zip(total, part, strict=True)))
        return total

    async def get(self, record_id: int, /) -> StoredRecord | None:
        """One record, or None."""
        row = await self._session.first(select(records).where(records.c.record_id == record_id))
        return None if row is None else _stored(row)

    async def page(self, query: RecordQuery, /, *, after: int | None = None, limit: int = 1000) -> list[StoredRecord]:
        """Matching records in ascending record_id, greater than `after`."""
        statement = select(records).where(*self._conditions(query)).order_by(records.c.record_id).limit(limit)
        if after is not None:
            statement = statement.where(records.c.record_id > after)
        return [_stored(row) for row in await self._session.all(statement)]

    async def versions(self, record_id: int, /) -> list[RecordVersion]:
        """Earlier versions, latest first; those without occurred_at last."""
        table = record_versions.c
        statement = (
            select(record_versions, records.c.source, records.c.key)
            .join(records, records.c.record_id == table.record_id)
            .where(table.record_id == record_id)
            .order_by(
                table.occurred_at.desc().nulls_last(),
                table.observed_at.desc(),
                table.raw_id.desc().nulls_last(),
                table.raw_index.desc(),
            )
        )
        return [_version(row) for row in await self._session.all(statement)]

    async def count(self, source: str | None = None, /) -> int:
        """How many records there are."""
        statement = select(func.count()).select_from(records)
        if source is not None:
            statement = statement.where(records.c.source == source)
        return int((await self._session.run(statement)).scalar_one())

    async def _merge(self, part: Sequence[PreparedRecord], observation: Observation) -> UpsertOutcome:
        """Look, decide, wait for our turn, write. Somebody may have committed before our turn came: then look again."""
        bulk = self._bulk
        seen = await bulk.mark()
        plan = await self._plan(part, observation)
        while not plan.is_empty:
            last = await bulk.claim(plan.changes)
            if last == seen:
                await bulk.write(plan, observation, last + 1)
                break
            seen = last + plan.changes
            plan = await self._plan(part, observation)
        return plan.outcome

    async def _plan(self, part: Sequence[PreparedRecord], observation: Observation) -> Plan:
        stored = await self._bulk.differing(observation.source, part)
        candidates = list(suspects(part, observation, stored)) if observation.history else []
        known = await self._bulk.known_versions(candidates) if candidates else ()
        return make_plan(part, observation, stored, known)

    def _conditions(self, query: RecordQuery) -> Iterator[ColumnElement[bool]]:
        table = records.c
        for column, wanted in ((table.source, query.source), (table.kind, query.kind), (table.symbol, query.symbol)):
            if wanted is not None:
                yield column == wanted
        if query.q is not None:
            yield self._database.contains(table.title_folded, query.q.casefold())
        if query.start_date is not None:
            yield table.occurred_at >= query.start_date
        if query.end_date is not None:
            yield table.occurred_at <= query.end_date
        if query.updated_since is not None:
            yield table.updated_at >= query.updated_since
        yield from self._value_conditions(query)

    def _value_conditions(self, query: RecordQuery) -> Iterator[ColumnElement[bool]]:
        as_text = self._session.dialect == "sqlite"
        column: ColumnElement[Any] = value_order if as_text else records.c.value
        if query.min_value is not None:
            yield column >= (order_text(query.min_value) if as_text else query.min_value)
        if query.max_value is not None:
            yield column <= (order_text(query.max_value) if as_text else query.max_value)


def _record(row: Row[Any]) -> Record:
    return Record(
        source=row.source,
        key=row.key,
        kind=row.kind,
        external_id=row.external_id,
        title=row.title,
        symbol=row.symbol,
        value=row.value,
        currency=row.currency,
        url=row.url,
        occurred_at=row.occurred_at,
        attributes=row.attributes,
    )


def _stored(row: Row[Any]) -> StoredRecord:
    return StoredRecord(
        record_id=row.record_id,
        record=_record(row),
        content_hash=row.content_hash,
        raw_id=row.raw_id,
        raw_index=row.raw_index,
        run_id=row.run_id,
        first_seen_at=row.first_seen_at,
        updated_at=row.updated_at,
        revision=row.revision,
        change_seq=row.change_seq,
        gone_at=row.gone_at,
    )


def _version(row: Row[Any]) -> RecordVersion:
    return RecordVersion(
        record_id=row.record_id,
        record=_record(row),
        content_hash=row.content_hash,
        raw_id=row.raw_id,
        raw_index=row.raw_index,
        run_id=row.run_id,
        observed_at=row.observed_at,
    )
