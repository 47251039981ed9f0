"""Records: what a source item becomes, and what the store makes of it.

These are the hot types, one or more per item, so they are NamedTuples: immutable, and about 0.4 µs to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple


class RawRecord(NamedTuple):
    """One decoded item of a payload: its place there (from 0) and its fields as the source gave them."""

    index: int  # type: ignore[assignment]  # hides tuple.index(), which a record has no use for
    data: Mapping[str, Any]


class Record(NamedTuple):
    """One normalized item. Times are aware UTC; `value` is exact; `attributes` holds JSON values and Decimals."""

    source: str
    key: str
    kind: str
    external_id: str | None = None
    title: str | None = None
    symbol: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    url: str | None = None
    occurred_at: datetime | None = None
    attributes: Mapping[str, Any] = {}


class PreparedRecord(NamedTuple):
    """A record ready to be stored: hashed, with its attributes as canonical JSON text and its place in the payload."""

    record: Record
    content_hash: str
    attributes_json: str
    raw_index: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What all records of one write have in common: who saw them, in which payload, and when it was fetched.

    `history` keeps a superseded state as a version. `by_occurrence` orders states by (occurred_at, observed_at);
    without it (articles) by observed_at alone.
    """

    source: str
    run_id: int
    raw_id: int | None
    observed_at: datetime
    history: bool = False
    by_occurrence: bool = True


class UpsertOutcome(NamedTuple):
    """How many of the given records were new, changed and as before. The three add up to the number given."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the store holds it: the content, and the observation that last changed the content."""

    record_id: int
    record: Record
    content_hash: str
    raw_id: int | None
    raw_index: int
    run_id: int
    first_seen_at: datetime
    updated_at: datetime
    revision: int
    change_seq: int
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """An earlier state of a record, or a late one that was already superseded when it arrived."""

    record_id: int
    record: Record
    content_hash: str
    raw_id: int | None
    raw_index: int
    run_id: int
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Filters of a read. Bounds are inclusive; None means no filter. Times are instants (UTC).

    `q` is found in titles, whatever the case. `entity`: records whose (source, external_id) is linked to that entity,
    or to the one that it was merged into, and articles that speak of it.
    `gone`: only those that their source no longer has, or only the others.
    """

    source: str | None = None
    kind: str | None = None
    symbol: str | None = None
    q: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    updated_since: datetime | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    entity: str | None = None
    gone: bool | None = None


EVERY_RECORD = RecordQuery()
"""No filter at all."""


class SortField(StrEnum):
    """What records can be read in order of. record_id is given at insert and never changes."""

    RECORD_ID = "record_id"
    OCCURRED_AT = "occurred_at"
    UPDATED_AT = "updated_at"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Order:
    """An order of records. Those without a value of the field come last both ways; equal ones follow in the same
    direction of record_id."""

    field: SortField = SortField.RECORD_ID
    descending: bool = True

    def place_of(self, stored: StoredRecord) -> Place:
        """Where a record is in this order: what to continue behind."""
        match self.field:
            case SortField.RECORD_ID:
                return Place(stored.record_id)
            case SortField.UPDATED_AT:
                return Place(stored.record_id, stored.updated_at)
            case SortField.OCCURRED_AT:
                return Place(stored.record_id, stored.record.occurred_at)
            case SortField.VALUE:
                return Place(stored.record_id, stored.record.value)


NEWEST_FIRST = Order()
"""record_id descending: the one order that promises each row once while rows change."""


@dataclass(frozen=True, slots=True)
class Place:
    """A record's place in an Order: its value of the order's field (None for record_id, or when it has none) and its
    record_id."""

    record_id: int
    value: datetime | Decimal | None = None
