"""How records are read: page by page in an order, as a feed of changes, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.repositories.record_estimate import estimated
from kasparro_adapters.sql.repositories.record_fates import fates_of, fates_statement
from kasparro_adapters.sql.repositories.record_filters import Filters, further, is_bounded, without_implied
from kasparro_adapters.sql.repositories.record_latest import latest_records
from kasparro_adapters.sql.repositories.record_rows import record_version, stored_record
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import CHANGES, change_counter, record_versions, records
from kasparro_core.model import (
    EVERY_RECORD,
    NEWEST_FIRST,
    Order,
    Place,
    Present,
    RecordQuery,
    RecordVersion,
    SortField,
    StoredRecord,
)
from kasparro_core.model.entity import AssetId
from kasparro_core.model.span import Fate, Keys, Span

Condition = ColumnElement[bool]

_BY_ID = Order(descending=False)


class RecordQueries:
    """The reading methods of RecordRepository.

    Records with a value of the order's field and those without are two ranges of one index, read one after the other:
    nulls come last both ways, and nothing is ever sorted.
    """

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._filters = Filters(database, session.dialect)

    async def get(self, record_id: int, /) -> StoredRecord | None:
        """One record, or None."""
        row = await self._session.first(select(records).where(records.c.record_id == record_id))
        return None if row is None else stored_record(row)

    async def page(self, query: RecordQuery, /, *, after: int | None = None, limit: int = 1000) -> list[StoredRecord]:
        """Matching records in ascending record_id, greater than `after`."""
        return await self.select(query, order=_BY_ID, after=None if after is None else Place(after), limit=limit)

    async def present(
        self, source: str, before: datetime, /, *, after: int = 0, limit: int = 10_000, gone: bool = False
    ) -> list[Present]:
        """Records of a source that are not gone, or that are, in ascending record_id."""
        query = RecordQuery(source=source, gone=gone)
        (conditions,) = self._ranges(query, _BY_ID, Place(after))
        columns = (records.c.record_id, records.c.key, records.c.first_seen_at < before)
        statement = select(*columns).where(*conditions).order_by(*self._columns(query, _BY_ID)).limit(limit)
        return list(map(Present._make, await self._session.all(statement)))

    async def fates(self, span: Span, /, *, keys: int = 20) -> dict[Fate, Keys]:
        """What became of the records of a source in a span."""
        seq, query = records.c.change_seq, RecordQuery(source=span.source)
        among = [*self._filters.conditions(query, along=None if span.after_seq is None else seq.name)]
        if span.after_seq is not None:
            among.append(seq > span.after_seq)
        return fates_of(await self._session.all(fates_statement(span, among, keys)))

    async def latest(self, assets: Sequence[AssetId], /) -> list[StoredRecord]:
        """Of each of these assets the record that occurred last."""
        return await latest_records(self._session, assets)

    async def versions(self, record_id: int, /, *, limit: int | None = None) -> list[RecordVersion]:
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
            .limit(limit)
        )
        return [record_version(row) for row in await self._session.all(statement)]

    async def select(
        self,
        query: RecordQuery,
        /,
        *,
        order: Order = NEWEST_FIRST,
        after: Place | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> list[StoredRecord]:
        """Matching records behind a place of an order."""
        found: list[StoredRecord] = []
        for conditions in self._ranges(query, order, after):
            part = await self._read(conditions, self._columns(query, order), offset, limit - len(found))
            found += part
            if len(found) == limit:
                break
            if offset:
                offset -= offset if part else await self._count(conditions)
        return found

    async def changes(self, query: RecordQuery, /, *, after_seq: int, limit: int = 50) -> list[StoredRecord]:
        """Matching records in ascending change_seq."""
        seq = records.c.change_seq
        conditions = [*self._filters.conditions(query, along=seq.name), seq > after_seq]
        return await self._read(conditions, [seq], 0, limit)

    async def last_change(self) -> int:
        """The counter as this transaction sees it."""
        statement = select(change_counter.c.last_seq).where(change_counter.c.counter_id == CHANGES)
        return int((await self._session.run(statement)).scalar_one())

    async def count(self, query: RecordQuery = EVERY_RECORD, /) -> int:
        """How many records match."""
        return await self._count([*self._filters.conditions(query)])

    async def estimate(self, query: RecordQuery = EVERY_RECORD, /) -> int:
        """Exact for the few, see `record_estimate` for the many."""
        conditions = [*self._filters.conditions(query)]
        return await estimated(self._session, conditions, [*self._filters.indexed(query)])

    def _ranges(self, query: RecordQuery, order: Order, after: Place | None) -> Iterator[list[Condition]]:
        """What to read one after the other: the records with a value of the order's field, then those without."""
        field, filters = order.field, self._filters
        if field is not SortField.RECORD_ID:
            yield from self._known(query, order, after)
            if not records.c[field.value].nullable or is_bounded(query, field):
                return
        conditions = list(filters.conditions(query, along=field))
        if field is not SortField.RECORD_ID:
            conditions.append(filters.sorted_by(field).is_(None))
        if (listing := filters.listing(query, field)) is not None:
            conditions += filters.listed(listing, query, order, after)
        elif after is not None and after.value is None:
            conditions.append(further(order, after))
        yield conditions

    def _known(self, query: RecordQuery, order: Order, after: Place | None) -> Iterator[list[Condition]]:
        filters = self._filters
        if after is None:
            known = [] if is_bounded(query, order.field) else [filters.is_known(order.field)]
            yield [*known, *filters.conditions(query, along=order.field)]
        elif after.value is not None:
            conditions = list(filters.conditions(without_implied(query, order, after), along=order.field))
            for behind in filters.behind(order, after):
                yield [behind, *conditions]

    def _columns(self, query: RecordQuery, order: Order) -> list[ColumnElement[Any]]:
        """What is sorted by: as many columns as the index has along which it is read."""
        columns: list[ColumnElement[Any]] = [records.c.record_id]
        if order.field is not SortField.RECORD_ID:
            columns.insert(0, self._filters.sorted_by(order.field))
        elif (listing := self._filters.listing(query, order.field)) is not None:
            columns.insert(0, self._filters.column(listing))
        return [column.desc() if order.descending else column for column in columns]

    async def _read(
        self, conditions: Sequence[Condition], order: Sequence[ColumnElement[Any]], offset: int, limit: int
    ) -> list[StoredRecord]:
        statement = select(records).where(*conditions).order_by(*order).limit(limit)
        if offset:
            statement = statement.offset(offset)
        return [stored_record(row) for row in await self._session.all(statement)]

    async def _count(self, conditions: Sequence[Condition]) -> int:
        statement = select(func.count()).select_from(records).where(*conditions)
        return int((await self._session.run(statement)).scalar_one())
