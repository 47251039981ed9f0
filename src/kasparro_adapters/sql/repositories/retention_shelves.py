"""What can be pruned: for each kind its rows, their age, their size, and what keeps some of them.

Every condition is a scalar subquery that an index answers in one step, so that no statement ever reads a whole table to
find the few oldest rows, whatever the planner thinks of the tables' sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    cast,
    func,
    literal_column,
    select,
)

from kasparro_adapters.sql import anomaly_tables
from kasparro_adapters.sql.anomaly_tables import anomalies
from kasparro_adapters.sql.figure_tables import run_facts
from kasparro_adapters.sql.service_tables import idempotency_keys, outbox, schedule_slots
from kasparro_adapters.sql.tables import (
    CLOSED,
    OPEN_WITH_PAYLOAD,
    WITH_PAYLOAD,
    raw_batches,
    record_versions,
    records,
    rejections,
    run_batches,
    runs,
)
from kasparro_core.model.run import SUCCESSES
from kasparro_core.model.service import Prunable

_ONE = literal_column("1", Integer)


@dataclass(frozen=True)
class Part:
    """Rows that go together with those of a shelf: the ones of `table` whose `owner` is the shelf's key."""

    table: Table
    owner: Column[Any]
    content: Sequence[Column[Any]]


@dataclass(frozen=True)
class Shelf:
    """One kind of rows. `table`: what is deleted, by `key`; `rows`: what is read. Rows are ordered by (`at`, `tie`).

    `belongs`: which rows are of the kind at all; `free`: which of them nothing needs. `content`: whose bytes count.
    """

    table: Table
    key: Sequence[Column[Any]]
    at: Column[Any]
    tie: Column[Any]
    content: Sequence[Column[Any]]
    rows: FromClause
    belongs: Sequence[ColumnElement[bool]] = ()
    free: Sequence[ColumnElement[bool]] = ()
    parts: Sequence[Part] = ()

    def size(self, dialect: str) -> ColumnElement[int]:
        """About how many bytes a row holds, with its parts."""
        size = _bytes(self.content, dialect)
        for part in self.parts:
            rows = select(func.sum(_bytes(part.content, dialect))).where(part.owner == self.key[0])
            size = size + func.coalesce(rows.scalar_subquery(), 0)
        return size


def _bytes(columns: Sequence[Column[Any]], dialect: str) -> ColumnElement[int]:
    total: ColumnElement[int] = literal_column("0", Integer)
    for column in columns:
        total = total + func.coalesce(_length(column, dialect), 0)
    return total


def _length(column: Column[Any], dialect: str) -> ColumnElement[int]:
    """A payload is not read for it on either database."""
    if isinstance(column.type, LargeBinary):
        return func.length(column) if dialect == "sqlite" else func.octet_length(column)
    text = cast(column, Text)
    return func.length(cast(text, LargeBinary)) if dialect == "sqlite" else func.octet_length(text)


def _some(rows: Select[Any]) -> ColumnElement[bool]:
    """There is such a row. Not EXISTS, of which a planner may make a join with everything."""
    return rows.limit(1).scalar_subquery().is_not(None)


def _none(rows: Select[Any]) -> ColumnElement[bool]:
    return rows.limit(1).scalar_subquery().is_(None)


def newest_read(raw_id: ColumnElement[int]) -> ColumnElement[int]:
    """The newest read of a payload."""
    read = run_batches.alias()
    return select(func.max(read.c.read_id)).where(read.c.raw_id == raw_id).scalar_subquery()


def _raw() -> Shelf:
    """A payload is as old as its newest read. An older read of a payload is not listed."""
    other = raw_batches.alias("other")
    same_partition = (other.c.source == raw_batches.c.source) & (other.c.partition == raw_batches.c.partition)
    return Shelf(
        table=raw_batches,
        key=(raw_batches.c.raw_id,),
        at=run_batches.c.observed_at,
        tie=run_batches.c.read_id,
        content=(raw_batches.c.payload,),
        rows=run_batches.join(raw_batches, raw_batches.c.raw_id == run_batches.c.raw_id),
        belongs=(WITH_PAYLOAD, run_batches.c.read_id == newest_read(run_batches.c.raw_id)),
        free=(
            _none(select(_ONE).where(rejections.c.raw_id == raw_batches.c.raw_id, OPEN_WITH_PAYLOAD)),
            _some(select(_ONE).where(same_partition, newest_read(other.c.raw_id) > run_batches.c.read_id)),
        ),
    )


def _runs() -> Shelf:
    """A run goes when a later one of its source ended as it did, well or badly, and no payload of it is kept."""
    later, read = runs.alias("later"), run_batches.alias("read")
    successes = sorted(SUCCESSES)
    ended_alike = later.c.status.in_(successes) == runs.c.status.in_(successes)
    return Shelf(
        table=runs,
        key=(runs.c.run_id,),
        at=runs.c.finished_at,
        tie=runs.c.run_id,
        content=(runs.c.source, runs.c.status, runs.c.error_code, runs.c.error),
        rows=runs,
        belongs=(runs.c.finished_at.is_not(None),),
        free=(
            _some(
                select(_ONE)
                .where(
                    later.c.source == runs.c.source,
                    later.c.run_id > runs.c.run_id,
                    later.c.finished_at.is_not(None),
                    ended_alike,
                )
                .order_by(later.c.run_id)  # the next one: a planner left to itself starts at the table's beginning
            ),
            _none(select(_ONE).where(read.c.run_id == runs.c.run_id, read.c.raw_id.is_not(None))),
        ),
        parts=(
            Part(run_batches, run_batches.c.run_id, (run_batches.c.url, run_batches.c.counters)),
            Part(run_facts, run_facts.c.run_id, (run_facts.c.facts,)),
        ),
    )


def _content_of(table: Table) -> Sequence[Column[Any]]:
    return (table.c.title, table.c.url, table.c.attributes, table.c.content_hash)


def _records() -> Shelf:
    return Shelf(
        table=records,
        key=(records.c.record_id,),
        at=records.c.updated_at,
        tie=records.c.record_id,
        content=(records.c.key, *_content_of(records)),
        rows=records,
        parts=(Part(record_versions, record_versions.c.record_id, _content_of(record_versions)),),
    )


def _versions() -> Shelf:
    return Shelf(
        table=record_versions,
        key=(record_versions.c.version_id,),
        at=record_versions.c.observed_at,
        tie=record_versions.c.version_id,
        content=_content_of(record_versions),
        rows=record_versions,
    )


def _resolved_rejections() -> Shelf:
    return Shelf(
        table=rejections,
        key=(rejections.c.rejection_id,),
        at=rejections.c.first_seen_at,
        tie=rejections.c.rejection_id,
        content=(rejections.c.path, rejections.c.message, rejections.c.payload, rejections.c.payload_hash),
        rows=rejections,
        belongs=(CLOSED,),
    )


def _closed_anomalies() -> Shelf:
    return Shelf(
        table=anomalies,
        key=(anomalies.c.anomaly_id,),
        at=anomalies.c.last_seen_at,
        tie=anomalies.c.anomaly_id,
        content=(anomalies.c.subject, anomalies.c.explanation, anomalies.c.evidence, anomalies.c.note),
        rows=anomalies,
        belongs=(anomaly_tables.CLOSED,),
    )


def _events() -> Shelf:
    return Shelf(
        table=outbox,
        key=(outbox.c.event_id,),
        at=outbox.c.at,
        tie=outbox.c.event_id,
        content=(outbox.c.source, outbox.c.data),
        rows=outbox,
    )


def _answers() -> Shelf:
    return Shelf(
        table=idempotency_keys,
        key=(idempotency_keys.c.key,),
        at=idempotency_keys.c.created_at,
        tie=idempotency_keys.c.key,
        content=(idempotency_keys.c.key, idempotency_keys.c.location, idempotency_keys.c.body),
        rows=idempotency_keys,
    )


def _slots() -> Shelf:
    later = schedule_slots.alias("later")
    newest = select(func.max(later.c.slot_at)).where(later.c.source == schedule_slots.c.source).scalar_subquery()
    return Shelf(
        table=schedule_slots,
        key=(schedule_slots.c.source, schedule_slots.c.slot_at),
        at=schedule_slots.c.slot_at,
        tie=schedule_slots.c.source,
        content=(schedule_slots.c.source, schedule_slots.c.state),
        rows=schedule_slots,
        free=(schedule_slots.c.slot_at < newest,),
    )


SHELVES: Mapping[Prunable, Shelf] = {
    Prunable.RAW: _raw(),
    Prunable.VERSIONS: _versions(),
    Prunable.RUNS: _runs(),
    Prunable.RESOLVED_REJECTIONS: _resolved_rejections(),
    Prunable.CLOSED_ANOMALIES: _closed_anomalies(),
    Prunable.RECORDS: _records(),
    Prunable.EVENTS: _events(),
    Prunable.ANSWERS: _answers(),
    Prunable.SLOTS: _slots(),
}
