"""How records in memory are read: page by page in an order, as a feed of changes, counted."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Any

from kasparro_adapters.memory.tables import RecordRow, SeenState, Transaction
from kasparro_core.model import (
    EVERY_RECORD,
    NEWEST_FIRST,
    Order,
    Place,
    Present,
    Record,
    RecordQuery,
    RecordVersion,
    SortField,
    StoredRecord,
)
from kasparro_core.model.entity import AssetId
from kasparro_core.model.span import Fate, Keys, Life, Span, fate_of
from kasparro_core.normalize.canonical import parse_json

_DAWN = datetime.min.replace(tzinfo=UTC)


class RecordQueries:
    """The reading methods of RecordRepository."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, record_id: int, /) -> StoredRecord | None:
        """One record, or None."""
        row = self._tx.records.get(record_id)
        return None if row is None else _stored(row)

    async def page(self, query: RecordQuery, /, *, after: int | None = None, limit: int = 1000) -> list[StoredRecord]:
        """Matching records in ascending record_id."""
        place = None if after is None else Place(after)
        return await self.select(query, order=Order(descending=False), after=place, limit=limit)

    async def present(
        self, source: str, before: datetime, /, *, after: int = 0, limit: int = 10_000, gone: bool = False
    ) -> list[Present]:
        """Records of a source that are not gone, or that are, in ascending record_id."""
        found = await self.page(RecordQuery(source=source, gone=gone), after=after, limit=limit)
        return [Present(row.record_id, row.record.key, row.first_seen_at < before) for row in found]

    async def fates(self, span: Span, /, *, keys: int = 20) -> dict[Fate, Keys]:
        """What became of the records of a source in a span."""
        found: defaultdict[Fate, list[str]] = defaultdict(list)
        for row in sorted(self._tx.records.rows(), key=attrgetter("record_id")):
            fate = fate_of(self._life(row), span) if row.state.record.source == span.source else None
            if fate is not None:
                found[fate].append(row.state.record.key)
        return {fate: Keys(len(those), those[:keys]) for fate, those in found.items()}

    def _life(self, row: RecordRow) -> Life:
        earlier = [state.run_id for state in self._tx.versions.get(row.record_id) or ()]
        return Life(row.state.run_id, row.revision, row.change_seq, row.first_seen_at, row.gone_at, earlier)

    async def latest(self, assets: Sequence[AssetId], /) -> list[StoredRecord]:
        """By a look at all."""
        wanted, found = set(assets), dict[AssetId, RecordRow]()
        for row in self._tx.records.rows():
            record = row.state.record
            asset = AssetId(record.source, record.external_id or "")
            if record.external_id is not None and asset in wanted:
                found[asset] = max(found.get(asset, row), row, key=_dated)
        return [_stored(found[asset]) for asset in sorted(found)]

    async def versions(self, record_id: int, /, *, limit: int | None = None) -> list[RecordVersion]:
        """Earlier versions, latest first."""
        states = self._tx.versions.get(record_id) or ()
        return [_version(record_id, state) for state in sorted(states, key=_moment_key, reverse=True)[:limit]]

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
        by_id = order.field is SortField.RECORD_ID
        rows = self._by_id(query, order, after) if by_id else self._by_value(query, order, after)
        return [_stored(row) for row in islice(rows, offset, offset + limit)]

    async def changes(self, query: RecordQuery, /, *, after_seq: int, limit: int = 50) -> list[StoredRecord]:
        """Matching records in ascending change_seq."""
        changed = (row for row in self._tx.records.rows() if row.change_seq > after_seq)
        return [_stored(row) for row in heapq.nsmallest(limit, self._matching(changed, query), key=_change)]

    async def last_change(self) -> int:
        """The last number given out."""
        return self._tx.last("changes")

    async def count(self, query: RecordQuery = EVERY_RECORD, /) -> int:
        """How many records match."""
        return sum(1 for _ in self._matching(self._tx.records.rows(), query))

    async def estimate(self, query: RecordQuery = EVERY_RECORD, /) -> int:
        """Exact: a store in memory is small."""
        return await self.count(query)

    def _by_id(self, query: RecordQuery, order: Order, after: Place | None) -> Iterator[RecordRow]:
        """Ids are given out one by one, so the walk starts where the last one ended."""
        last = self._tx.last("records")
        if order.descending:
            ids = range(last if after is None else after.record_id - 1, 0, -1)
        else:
            ids = range(1 if after is None else after.record_id + 1, last + 1)
        return self._matching((row for row in map(self._tx.records.get, ids) if row is not None), query)

    def _by_value(self, query: RecordQuery, order: Order, after: Place | None) -> Iterator[RecordRow]:
        """Sorts them all, those with a value and those without."""
        known: list[RecordRow] = []
        unknown: list[RecordRow] = []
        for row in self._matching(self._tx.records.rows(), query):
            if after is None or _lies_behind(row, order, after):
                (unknown if _value(row, order) is None else known).append(row)
        yield from sorted(known, key=lambda row: (_value(row, order), row.record_id), reverse=order.descending)
        yield from sorted(unknown, key=_id, reverse=order.descending)

    def _matching(self, rows: Iterable[RecordRow], query: RecordQuery) -> Iterator[RecordRow]:
        meant = self._tx.entities.get(query.entity) if query.entity is not None else None
        entity = meant.merged_into or meant.entity_id if meant is not None else query.entity
        return (row for row in rows if _matches(row, query) and self._is_linked(row.state.record, entity))

    def _is_linked(self, record: Record, entity: str | None) -> bool:
        if entity is None:
            return True
        known = None if record.external_id is None else self._tx.links.get(AssetId(record.source, record.external_id))
        return (known is not None and known.link.entity_id == entity) or self._is_mentioned(record, entity)

    def _is_mentioned(self, record: Record, entity: str) -> bool:
        found = (
            self._tx.entities.get(each.entity_id) for each in self._tx.mentions.get((record.source, record.key)) or ()
        )
        return any(each is not None and entity in (each.entity_id, each.merged_into) for each in found)


def _dated(row: RecordRow) -> tuple[datetime, int]:
    return row.state.record.occurred_at or _DAWN, row.record_id


def _id(row: RecordRow) -> int:
    return row.record_id


def _change(row: RecordRow) -> int:
    return row.change_seq


def _value(row: RecordRow, order: Order) -> Any:
    """What the order compares."""
    if order.field is SortField.UPDATED_AT:
        return row.state.observed_at
    return row.state.record.occurred_at if order.field is SortField.OCCURRED_AT else row.state.record.value


def _lies_behind(row: RecordRow, order: Order, after: Place) -> bool:
    value = _value(row, order)
    if value is None or after.value is None:
        if (value is None) != (after.value is None):
            return value is None
        here: tuple[Any, ...] = (row.record_id,)
        there: tuple[Any, ...] = (after.record_id,)
    else:
        here, there = (value, row.record_id), (after.value, after.record_id)
    return here < there if order.descending else here > there


def _moment_key(state: SeenState) -> tuple[datetime, datetime, int, int]:
    return state.record.occurred_at or _DAWN, state.observed_at, state.raw_id or 0, state.raw_index


def _record(state: SeenState) -> Record:
    return state.record._replace(attributes=parse_json(state.attributes_json))


def _stored(row: RecordRow) -> StoredRecord:
    state = row.state
    return StoredRecord(
        record_id=row.record_id,
        record=_record(state),
        content_hash=state.content_hash,
        raw_id=state.raw_id,
        raw_index=state.raw_index,
        run_id=state.run_id,
        first_seen_at=row.first_seen_at,
        updated_at=state.observed_at,
        revision=row.revision,
        change_seq=row.change_seq,
        gone_at=row.gone_at,
    )


def _version(record_id: int, state: SeenState) -> RecordVersion:
    return RecordVersion(
        record_id=record_id,
        record=_record(state),
        content_hash=state.content_hash,
        raw_id=state.raw_id,
        raw_index=state.raw_index,
        run_id=state.run_id,
        observed_at=state.observed_at,
    )


def _matches(row: RecordRow, query: RecordQuery) -> bool:
    state, record = row.state, row.state.record
    return (
        query.source in (None, record.source)
        and query.kind in (None, record.kind)
        and query.symbol in (None, record.symbol)
        and query.gone in (None, row.gone_at is not None)
        and (query.q is None or query.q.casefold() in (record.title or "").casefold())
        and _within(record.occurred_at, query.start_date, query.end_date)
        and _within(state.observed_at, query.updated_since, None)
        and _within(record.value, query.min_value, query.max_value)
    )


def _within(value: Any, low: Any, high: Any) -> bool:
    """Inclusive bounds; a missing value is inside only where no bound is set."""
    if value is None:
        return low is None and high is None
    return (low is None or value >= low) and (high is None or value <= high)
