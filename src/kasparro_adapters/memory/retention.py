"""Pruning in memory: it looks at every row, of which there are not many."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from kasparro_adapters.memory.tables import PayloadRow, RecordRow, SeenState, Transaction
from kasparro_core.model import AnomalyState, BatchRead, RejectionState, StoredRejection
from kasparro_core.model.run import SUCCESSES
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.services.position import held_payload

_NOTHING = Bound(before=datetime.min.replace(tzinfo=UTC))


class _Row(NamedTuple):
    """One row of a kind: its place by age, its bytes, how it goes, and whether something needs it."""

    at: datetime
    tie: int | str
    size: int
    drop: Callable[[], None]
    needed: bool = False


class MemoryRetention:
    """The Retention of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction
        self._rows: Mapping[Prunable, Callable[[], Iterator[_Row]]] = {
            Prunable.RAW: self._raw,
            Prunable.VERSIONS: self._versions,
            Prunable.RUNS: self._runs,
            Prunable.RESOLVED_REJECTIONS: self._rejections,
            Prunable.CLOSED_ANOMALIES: self._anomalies,
            Prunable.RECORDS: self._records,
            Prunable.EVENTS: self._events,
            Prunable.ANSWERS: self._answers,
            Prunable.SLOTS: self._slots,
        }

    async def settle(self, what: Prunable, bound: Bound, /) -> Bound:
        """Sum up from the newest on; the first row that does not fit is the place."""
        if bound.max_bytes is None:
            return bound
        kept = 0
        for row in sorted(self._rows[what](), key=_place, reverse=True):
            kept += row.size
            if kept > bound.max_bytes:
                return Bound(through=_place(row))
        return _NOTHING

    async def prune(self, what: Prunable, bound: Bound, /, *, limit: int = 1000) -> Pruned:
        """Delete up to `limit` of the oldest rows outside the bound."""
        rows = self._outside(what, await self.settle(what, bound))[:limit]
        for row in rows:
            row.drop()
        return _sum(rows)

    async def prunable(self, what: Prunable, bound: Bound, /) -> Pruned:
        """How much `prune` would delete in all."""
        return _sum(self._outside(what, await self.settle(what, bound)))

    def _outside(self, what: Prunable, bound: Bound) -> list[_Row]:
        rows = (row for row in self._rows[what]() if not row.needed and _is_older(row, bound))
        return sorted(rows, key=_place)

    def _raw(self) -> Iterator[_Row]:
        """A payload is as old as its newest read."""
        newest: dict[int, BatchRead] = {}
        for read in sorted((row.read for row in self._tx.reads.rows()), key=attrgetter("read_id")):
            if read.raw_id is not None:
                newest[read.raw_id] = read
        needed = self._needed_payloads(sorted(newest.values(), key=attrgetter("read_id")))
        for raw_id, read in newest.items():
            payload = self._tx.payloads.get(raw_id)
            if payload is not None:
                size = len(payload.packed.packed)
                drop = partial(self._drop_payload, payload)
                yield _Row(read.observed_at, read.read_id, size, drop, needed=raw_id in needed)

    def _needed_payloads(self, reads: Sequence[BatchRead]) -> set[int | None]:
        """Those of open rejections, of places inside a payload, and of each partition's newest read."""
        rejected = {row.raw_id for row in self._tx.rejections.rows() if row.state == RejectionState.OPEN}
        pointed_at = {held_payload(row.cursor) for row in self._tx.checkpoints.rows()}
        latest: dict[tuple[str, str], int | None] = {}
        for read in reads:
            payload = self._tx.payloads.get(read.raw_id or 0)
            if payload is not None:
                latest[payload.source, payload.partition] = read.raw_id
        return rejected | pointed_at | set(latest.values())

    def _drop_payload(self, payload: PayloadRow) -> None:
        packed = payload.packed
        self._tx.payloads.delete(payload.raw_id)
        self._tx.payload_ids.delete((payload.source, payload.partition, packed.content_hash, packed.facts_hash))
        for row in self._tx.reads.rows():
            if row.read.raw_id == payload.raw_id:
                self._tx.reads.put(_place_of(row.read), row._replace(read=replace(row.read, raw_id=None)))

    def _versions(self) -> Iterator[_Row]:
        for row in self._tx.records.rows():
            record_id = row.record_id
            for state in self._tx.versions.get(record_id) or ():
                tie = f"{record_id:020} {state.raw_id or 0:020} {state.raw_index:020}"
                yield _Row(state.observed_at, tie, _content(state), partial(self._drop_version, record_id, state))

    def _drop_version(self, record_id: int, state: SeenState) -> None:
        others = tuple(known for known in self._tx.versions.get(record_id) or () if known is not state)
        self._tx.versions.put(record_id, others)

    def _runs(self) -> Iterator[_Row]:
        """A run goes when a later one of its source ended as it did, well or badly, and no payload of it is kept."""
        newest: dict[tuple[str, bool], int] = {}
        for run in sorted(self._tx.runs.rows(), key=attrgetter("run_id")):
            if run.finished_at is not None:
                newest[run.source, run.status in SUCCESSES] = run.run_id
        reads: defaultdict[int, list[BatchRead]] = defaultdict(list)
        for row in self._tx.reads.rows():
            reads[row.read.run_id].append(row.read)
        for run in self._tx.runs.rows():
            if run.finished_at is not None:
                mine = reads[run.run_id]
                size = _octets(run.source, run.status, run.error_code, run.error, *(read.url for read in mine))
                needed = run.run_id in newest.values() or any(read.raw_id is not None for read in mine)
                yield _Row(run.finished_at, run.run_id, size, partial(self._drop_run, run.run_id, mine), needed=needed)

    def _drop_run(self, run_id: int, reads: Sequence[BatchRead]) -> None:
        self._tx.runs.delete(run_id)
        self._tx.run_facts.delete(run_id)
        for read in reads:
            self._tx.reads.delete(_place_of(read))

    def _rejections(self) -> Iterator[_Row]:
        for row in self._tx.rejections.rows():
            if row.state != RejectionState.OPEN:
                size = _octets(row.path, row.message, row.payload)
                yield _Row(row.first_seen_at, row.rejection_id, size, partial(self._drop_rejection, row))

    def _drop_rejection(self, row: StoredRejection) -> None:
        digest = hashlib.sha256(row.payload.encode()).hexdigest()
        self._tx.rejections.delete(row.rejection_id)
        self._tx.rejection_ids.delete((row.source, row.partition, row.stage, row.code, row.path, digest))

    def _anomalies(self) -> Iterator[_Row]:
        for row in self._tx.anomalies.rows():
            if row.state is not AnomalyState.OPEN:
                size = _octets(row.subject, row.explanation, canonical_json(row.evidence), row.note)
                drop = partial(self._tx.anomalies.delete, row.anomaly_id)
                yield _Row(row.last_seen_at or row.detected_at, row.anomaly_id, size, drop)

    def _records(self) -> Iterator[_Row]:
        for row in self._tx.records.rows():
            states = (row.state, *(self._tx.versions.get(row.record_id) or ()))
            size = _octets(row.state.record.key) + sum(map(_content, states))
            yield _Row(row.state.observed_at, row.record_id, size, partial(self._drop_record, row))

    def _drop_record(self, row: RecordRow) -> None:
        self._tx.records.delete(row.record_id)
        self._tx.record_ids.delete((row.state.record.source, row.state.record.key))
        self._tx.mentions.delete((row.state.record.source, row.state.record.key))
        self._tx.versions.delete(row.record_id)

    def _events(self) -> Iterator[_Row]:
        for event in self._tx.events.rows():
            size = _octets(event.source, canonical_json(event.data))
            yield _Row(event.at, event.event_id, size, partial(self._tx.events.delete, event.event_id))

    def _answers(self) -> Iterator[_Row]:
        for answer in self._tx.answers.rows():
            size = _octets(answer.key, answer.location, answer.body)
            yield _Row(answer.created_at, answer.key, size, partial(self._tx.answers.delete, answer.key))

    def _slots(self) -> Iterator[_Row]:
        newest: dict[str, datetime] = {}
        for slot in self._tx.slots.rows():
            newest[slot.source] = max(slot.slot_at, newest.get(slot.source, slot.slot_at))
        for slot in self._tx.slots.rows():
            drop = partial(self._tx.slots.delete, (slot.source, slot.slot_at))
            size = _octets(slot.source, slot.state)
            yield _Row(slot.slot_at, slot.source, size, drop, needed=slot.slot_at == newest[slot.source])


def _place(row: _Row) -> tuple[datetime, int | str]:
    return row.at, row.tie


def _is_older(row: _Row, bound: Bound) -> bool:
    if bound.through is not None:
        return _place(row) <= bound.through
    return bound.before is not None and row.at < bound.before


def _sum(rows: Sequence[_Row]) -> Pruned:
    return Pruned(len(rows), sum(row.size for row in rows))


def _place_of(read: BatchRead) -> tuple[int, str, int]:
    return read.run_id, read.partition, read.seq


def _content(state: SeenState) -> int:
    return _octets(state.record.title, state.record.url, state.attributes_json, state.content_hash)


def _octets(*texts: str | None) -> int:
    return sum(len(text.encode(errors="replace")) for text in texts if text is not None)
