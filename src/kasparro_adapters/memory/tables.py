"""The state of a memory store, and the transactions over it.

A transaction reads the committed rows through its own changes and lays them over the committed ones when it is applied:
commit and rollback cost what was changed, not what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from kasparro_core.errors import UnstorableError
from kasparro_core.model import (
    ApiKey,
    BatchRead,
    Checkpoint,
    Counters,
    Event,
    GivenAnswer,
    Lease,
    Metric,
    PackedPayload,
    PartitionState,
    Record,
    Run,
    ScheduleState,
    Slot,
    StoredRejection,
    Total,
    Validator,
)
from kasparro_core.model.anomaly import Anomaly, Mute
from kasparro_core.model.budget import Budget
from kasparro_core.model.drift import SchemaVersion
from kasparro_core.model.entity import AssetId, Blocks, Candidate, Crowd, Entity, Known, Naming, Rename, Ruling
from kasparro_core.model.facts import RunFacts
from kasparro_core.model.finding import DriftEvent
from kasparro_core.model.mention import Mention

K = TypeVar("K")
V = TypeVar("V")


class SeenState(NamedTuple):
    """One state of a record and the observation that brought it. Attributes are kept as their JSON text alone."""

    record: Record
    attributes_json: str
    content_hash: str
    raw_id: int | None
    raw_index: int
    run_id: int
    observed_at: datetime


class RecordRow(NamedTuple):
    """A record: its latest state and what the store counts about it."""

    record_id: int
    state: SeenState
    first_seen_at: datetime
    revision: int
    change_seq: int
    gone_at: datetime | None = None


class PayloadRow(NamedTuple):
    """A stored payload and the partition it belongs to."""

    raw_id: int
    source: str
    partition: str
    packed: PackedPayload


class ReadRow(NamedTuple):
    """A read of a run with the counters of its slices."""

    read: BatchRead
    counters: Counters


@dataclass(slots=True)
class State:
    """All committed rows."""

    records: dict[int, RecordRow] = field(default_factory=dict)
    record_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    versions: dict[int, tuple[SeenState, ...]] = field(default_factory=dict)
    payloads: dict[int, PayloadRow] = field(default_factory=dict)
    payload_ids: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    run_facts: dict[int, RunFacts] = field(default_factory=dict)
    reads: dict[tuple[int, str, int], ReadRow] = field(default_factory=dict)
    checkpoints: dict[tuple[str, str], Checkpoint] = field(default_factory=dict)
    partitions: dict[tuple[str, str], PartitionState] = field(default_factory=dict)
    validators: dict[tuple[str, str], dict[str, Validator]] = field(default_factory=dict)
    rejections: dict[int, StoredRejection] = field(default_factory=dict)
    rejection_ids: dict[tuple[str, ...], int] = field(default_factory=dict)
    rejections_by_key: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    leases: dict[tuple[str, str], Lease] = field(default_factory=dict)
    totals: dict[tuple[str, Metric, str], Total] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    schedules: dict[str, ScheduleState] = field(default_factory=dict)
    slots: dict[tuple[str, datetime], Slot] = field(default_factory=dict)
    answers: dict[str, GivenAnswer] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    links: dict[AssetId, Known] = field(default_factory=dict)
    blocks: dict[AssetId, Blocks] = field(default_factory=dict)
    block_members: dict[str, tuple[AssetId, ...]] = field(default_factory=dict)
    crowds: dict[Crowd, Crowd] = field(default_factory=dict)
    candidates: dict[tuple[AssetId, AssetId], Candidate] = field(default_factory=dict)
    rulings: dict[int, Ruling] = field(default_factory=dict)
    namings: dict[AssetId, Naming] = field(default_factory=dict)
    renames: dict[tuple[str, str, str], Rename] = field(default_factory=dict)
    mentions: dict[tuple[str, str], tuple[Mention, ...]] = field(default_factory=dict)
    drift_events: dict[int, DriftEvent] = field(default_factory=dict)
    anomalies: dict[int, Anomaly] = field(default_factory=dict)
    mutes: dict[int, Mute] = field(default_factory=dict)
    schemas: dict[tuple[str, int], SchemaVersion] = field(default_factory=dict)
    rates: dict[str, tuple[Budget, float]] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)


class Draft(Generic[K, V]):
    """One table as a transaction sees it: the committed rows below its own changes, without those it has deleted."""

    __slots__ = ("_changes", "_committed", "_gone", "_writable")

    def __init__(self, committed: dict[K, V], *, writable: bool) -> None:
        self._committed = committed
        self._changes: dict[K, V] = {}
        self._gone: set[K] = set()
        self._writable = writable

    def get(self, key: K) -> V | None:
        """The row, or None."""
        row = self._changes.get(key)
        if row is None and key not in self._gone:
            row = self._committed.get(key)
        return row

    def put(self, key: K, row: V) -> None:
        """Insert or replace. Raises RuntimeError in a transaction that only reads or has ended."""
        self._refuse_unless_writable()
        self._changes[key] = row

    def delete(self, key: K) -> None:
        """Remove the row if there is one. Raises RuntimeError as `put` does."""
        self._refuse_unless_writable()
        self._changes.pop(key, None)
        self._gone.add(key)

    def rows(self) -> list[V]:
        """All rows in the order of their first insertion."""
        if not self._gone:
            return list({**self._committed, **self._changes}.values())
        left = {key: row for key, row in self._committed.items() if key not in self._gone}
        return list({**left, **self._changes}.values())

    def mark(self) -> tuple[dict[K, V], set[K]]:
        """Its changes and deletions until now, for `back`."""
        return dict(self._changes), set(self._gone)

    def back(self, mark: tuple[dict[K, V], set[K]]) -> None:
        """As it was at a mark."""
        self._changes, self._gone = mark

    def apply(self) -> None:
        """Take the deleted rows out of the committed ones and lay the changes over the others."""
        for key in self._gone:
            self._committed.pop(key, None)
        self._committed.update(self._changes)

    def end(self) -> None:
        """Forget the changes and refuse further ones."""
        self._changes = {}
        self._gone = set()
        self._writable = False

    def _refuse_unless_writable(self) -> None:
        if not self._writable:
            raise RuntimeError("this unit of work cannot write: it was begun with write=False, or has ended")


class Transaction:
    """Drafts of all tables. Applied in one go, without an await between: nobody sees half of it."""

    def __init__(self, state: State, *, writable: bool) -> None:
        self.writable = writable
        self.records = Draft(state.records, writable=writable)
        self.record_ids = Draft(state.record_ids, writable=writable)
        self.versions = Draft(state.versions, writable=writable)
        self.payloads = Draft(state.payloads, writable=writable)
        self.payload_ids = Draft(state.payload_ids, writable=writable)
        self.runs = Draft(state.runs, writable=writable)
        self.run_facts = Draft(state.run_facts, writable=writable)
        self.reads = Draft(state.reads, writable=writable)
        self.checkpoints = Draft(state.checkpoints, writable=writable)
        self.partitions = Draft(state.partitions, writable=writable)
        self.validators = Draft(state.validators, writable=writable)
        self.rejections = Draft(state.rejections, writable=writable)
        self.rejection_ids = Draft(state.rejection_ids, writable=writable)
        self.rejections_by_key = Draft(state.rejections_by_key, writable=writable)
        self.leases = Draft(state.leases, writable=writable)
        self.totals = Draft(state.totals, writable=writable)
        self.events = Draft(state.events, writable=writable)
        self.keys = Draft(state.keys, writable=writable)
        self.schedules = Draft(state.schedules, writable=writable)
        self.slots = Draft(state.slots, writable=writable)
        self.answers = Draft(state.answers, writable=writable)
        self.entities = Draft(state.entities, writable=writable)
        self.links = Draft(state.links, writable=writable)
        self.blocks = Draft(state.blocks, writable=writable)
        self.block_members = Draft(state.block_members, writable=writable)
        self.crowds = Draft(state.crowds, writable=writable)
        self.candidates = Draft(state.candidates, writable=writable)
        self.rulings = Draft(state.rulings, writable=writable)
        self.namings = Draft(state.namings, writable=writable)
        self.renames = Draft(state.renames, writable=writable)
        self.mentions = Draft(state.mentions, writable=writable)
        self.drift_events = Draft(state.drift_events, writable=writable)
        self.anomalies = Draft(state.anomalies, writable=writable)
        self.mutes = Draft(state.mutes, writable=writable)
        self.schemas = Draft(state.schemas, writable=writable)
        self.rates = Draft(state.rates, writable=writable)
        self.sequences = Draft(state.sequences, writable=writable)

    def last(self, sequence: str) -> int:
        """The latest number given out, 0 before the first."""
        return self.sequences.get(sequence) or 0

    def next(self, sequence: str) -> int:
        """The next number of a sequence, from 1. A rollback takes it back, so that numbers have no gaps."""
        number = self.last(sequence) + 1
        self.sequences.put(sequence, number)
        return number

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what the body changed when it raises UnstorableError."""
        marks = [(draft, draft.mark()) for draft in self._drafts()]
        try:
            yield
        except UnstorableError:
            for draft, mark in marks:
                draft.back(mark)
            raise

    def apply(self) -> None:
        """Make all changes the committed state, and end."""
        for draft in self._drafts():
            draft.apply()
        self.end()

    def end(self) -> None:
        """Drop whatever was not applied; further writes are refused."""
        for draft in self._drafts():
            draft.end()

    def _drafts(self) -> list[Draft[object, object]]:
        return [draft for draft in vars(self).values() if isinstance(draft, Draft)]
