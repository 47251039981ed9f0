"""Records and their earlier versions in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, cast

from kasparro_adapters.memory.tables import RecordRow, SeenState, Transaction
from kasparro_core.model import (
    Observation,
    PreparedRecord,
    Record,
    RecordQuery,
    RecordVersion,
    StoredRecord,
    UpsertOutcome,
)
from kasparro_core.model.order import Moment, supersedes
from kasparro_core.normalize.canonical import parse_json

Outcome = Literal["inserted", "updated", "unchanged"]
_NO_ATTRIBUTES: Mapping[str, Any] = {}
_DAWN = datetime.min.replace(tzinfo=UTC)


class MemoryRecords:
    """The RecordRepository of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def upsert(self, records: Sequence[PreparedRecord], observation: Observation, /) -> UpsertOutcome:
        """Bring the records in one after the other."""
        outcomes = Counter(self._bring_in(prepared, observation) for prepared in records)
        return UpsertOutcome(outcomes["inserted"], outcomes["updated"], outcomes["unchanged"])

    async def get(self, record_id: int, /) -> StoredRecord | None:
        """One record, or None."""
        row = self._tx.records.get(record_id)
        return None if row is None else _stored(row)

    async def page(self, query: RecordQuery, /, *, after: int | None = None, limit: int = 1000) -> list[StoredRecord]:
        """Matching records in ascending record_id; ids have no gaps, so the walk starts where the last one ended."""
        rows = map(self._tx.records.get, range((after or 0) + 1, self._tx.last("records") + 1))
        matching = (row for row in rows if row is not None and _matches(row.state, query))
        return [_stored(row) for row in islice(matching, limit)]

    async def versions(self, record_id: int, /) -> list[RecordVersion]:
        """Earlier versions, latest first."""
        states = self._tx.versions.get(record_id) or ()
        return [_version(record_id, state) for state in sorted(states, key=_moment_key, reverse=True)]

    async def count(self, source: str | None = None, /) -> int:
        """How many records there are."""
        if source is None:
            return self._tx.last("records")
        return sum(row.state.record.source == source for row in self._tx.records.rows())

    def _bring_in(self, prepared: PreparedRecord, observation: Observation) -> Outcome:
        new = _seen(prepared, observation)
        record_id = self._tx.record_ids.get((new.record.source, new.record.key))
        if record_id is None:
            return self._insert(new)
        row = cast("RecordRow", self._tx.records.get(record_id))
        if row.state.content_hash == new.content_hash:
            return "unchanged"
        if _moment(new).is_same_place(_moment(row.state)):
            return self._replace(row, new)
        if supersedes(_moment(new), _moment(row.state), by_occurrence=observation.by_occurrence):
            if observation.history:
                self._put_version(record_id, row.state)
            return self._replace(row, new)
        return self._keep(record_id, new) if observation.history else "unchanged"

    def _insert(self, new: SeenState) -> Outcome:
        record_id = self._tx.next("records")
        self._tx.record_ids.put((new.record.source, new.record.key), record_id)
        row = RecordRow(record_id, new, new.observed_at, revision=1, change_seq=self._tx.next("changes"))
        self._tx.records.put(record_id, row)
        return "inserted"

    def _replace(self, row: RecordRow, new: SeenState) -> Outcome:
        row = row._replace(state=new, revision=row.revision + 1, change_seq=self._tx.next("changes"))
        self._tx.records.put(row.record_id, row)
        return "updated"

    def _keep(self, record_id: int, state: SeenState) -> Outcome:
        """Keep a late state as a version, unless its place or, from a place not seen before, its content is known."""
        versions = self._tx.versions.get(record_id) or ()
        here = [known for known in versions if _moment(known).is_same_place(_moment(state))]
        if any(known.content_hash == state.content_hash for known in here or versions):
            return "unchanged"
        self._put_version(record_id, state)
        return "updated"

    def _put_version(self, record_id: int, state: SeenState) -> None:
        versions = self._tx.versions.get(record_id) or ()
        others = tuple(known for known in versions if not _moment(known).is_same_place(_moment(state)))
        self._tx.versions.put(record_id, (*others, state))


def _seen(prepared: PreparedRecord, observation: Observation) -> SeenState:
    record = prepared.record
    occurred_at = record.occurred_at
    return SeenState(
        record._replace(
            occurred_at=None if occurred_at is None else occurred_at.astimezone(UTC), attributes=_NO_ATTRIBUTES
        ),
        prepared.attributes_json,
        prepared.content_hash,
        observation.raw_id,
        prepared.raw_index,
        observation.run_id,
        observation.observed_at.astimezone(UTC),
    )


def _moment(state: SeenState) -> Moment:
    return Moment(state.record.occurred_at, state.observed_at, state.raw_id, state.raw_index)


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


def _matches(state: SeenState, query: RecordQuery) -> bool:
    record = state.record
    return (
        query.source in (None, record.source)
        and query.kind in (None, record.kind)
        and query.symbol in (None, record.symbol)
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
