"""Records and their earlier versions in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast

from kasparro_adapters.memory.record_queries import RecordQueries
from kasparro_adapters.memory.tables import RecordRow, SeenState
from kasparro_core.errors import UnstorableError
from kasparro_core.model import Observation, PreparedRecord, UpsertOutcome
from kasparro_core.model.order import Moment, supersedes

Outcome = Literal["inserted", "updated", "unchanged"]
_NO_ATTRIBUTES: Mapping[str, Any] = {}


class MemoryRecords(RecordQueries):
    """The RecordRepository of a memory store: how records are brought in, beside how they are read."""

    async def upsert(self, records: Sequence[PreparedRecord], observation: Observation, /) -> UpsertOutcome:
        """Bring the records in one after the other."""
        outcomes = Counter(self._bring_in(prepared, observation) for prepared in records)
        return UpsertOutcome(outcomes["inserted"], outcomes["updated"], outcomes["unchanged"])

    async def upsert_apart(
        self, records: Sequence[PreparedRecord], observation: Observation, /
    ) -> tuple[UpsertOutcome, Sequence[tuple[PreparedRecord, UnstorableError]]]:
        """Bring them all in: memory refuses nothing."""
        return await self.upsert(records, observation), ()

    async def mark_gone(self, record_ids: Sequence[int], at: datetime, /) -> int:
        """Set `gone_at` of those that are present."""
        rows = [row for record_id in record_ids if (row := self._tx.records.get(record_id)) and row.gone_at is None]
        for row in rows:
            gone = row._replace(gone_at=at.astimezone(UTC), change_seq=self._tx.next("changes"))
            self._tx.records.put(row.record_id, gone)
        return len(rows)

    def _bring_in(self, prepared: PreparedRecord, observation: Observation) -> Outcome:
        new = _seen(prepared, observation)
        record_id = self._tx.record_ids.get((new.record.source, new.record.key))
        if record_id is None:
            return self._insert(new)
        row = cast("RecordRow", self._tx.records.get(record_id))
        if row.state.content_hash == new.content_hash:
            return self._return(row, new)
        if _moment(new).is_same_place(_moment(row.state)):
            return self._replace(row, new)
        if supersedes(_moment(new), _moment(row.state), by_occurrence=observation.by_occurrence):
            if observation.history:
                self._put_version(record_id, row.state)
            return self._replace(row, new)
        back = self._return(row, new)
        kept = self._keep(record_id, new) if observation.history else back
        return "updated" if "updated" in (back, kept) else "unchanged"

    def _insert(self, new: SeenState) -> Outcome:
        record_id = self._tx.next("records")
        self._tx.record_ids.put((new.record.source, new.record.key), record_id)
        row = RecordRow(record_id, new, new.observed_at, revision=1, change_seq=self._tx.next("changes"))
        self._tx.records.put(record_id, row)
        return "inserted"

    def _replace(self, row: RecordRow, new: SeenState) -> Outcome:
        gone_at = None if _comes_back(row, new) else row.gone_at
        row = row._replace(state=new, revision=row.revision + 1, change_seq=self._tx.next("changes"), gone_at=gone_at)
        self._tx.records.put(row.record_id, row)
        return "updated"

    def _return(self, row: RecordRow, seen: SeenState) -> Outcome:
        """Of the content that is stored nothing is written, unless it was gone."""
        if not _comes_back(row, seen):
            return "unchanged"
        self._tx.records.put(row.record_id, row._replace(change_seq=self._tx.next("changes"), gone_at=None))
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


def _comes_back(row: RecordRow, seen: SeenState) -> bool:
    return row.gone_at is not None and seen.observed_at >= row.gone_at


def _moment(state: SeenState) -> Moment:
    return Moment(state.record.occurred_at, state.observed_at, state.raw_id, state.raw_index)
