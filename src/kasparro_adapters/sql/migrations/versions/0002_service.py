"""The tables of the service, and the indexes that `/data` reads in order of and that pruning finds the oldest rows by.

Revision ID: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TEXT = sa.Text()
NUMBER = sa.Integer()
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DECIMAL = sa.Numeric().with_variant(sa.Text(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
SEARCHABLE_JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")

BOUNDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
ORDERS = ("updated_at", "occurred_at", "source", "kind")
NEW_TABLES = (
    "drift_events", "schema_versions", "anomalies", "entities", "entity_links", "run_totals", "outbox", "api_keys",
    "idempotency_keys", "schedules", "schedule_slots",
)  # fmt: skip
AGES = (
    ("record_versions", "observed_at", "version_id"),
    ("run_batches", "raw_id", "read_id"),
    ("runs", "finished_at", "run_id"),
)
PARTIAL_INDEXES = (
    ("ix_records_symbol_record_id", "records", ["symbol", "record_id"], "symbol IS NOT NULL"),
    ("ix_run_batches_with_payload", "run_batches", ["observed_at", "read_id"], "raw_id IS NOT NULL"),
    ("ix_rejections_open_payload", "rejections", ["raw_id"], "state = 'open' AND raw_id IS NOT NULL"),
    ("ix_rejections_closed", "rejections", ["first_seen_at", "rejection_id"], "state <> 'open'"),
)


def _required(name: str, kind: TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _id(name: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(name, BIG, sa.Identity(), autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint(name),
    ]


def _create(table: str, *items: sa.schema.SchemaItem, counted: bool = False) -> None:
    """`counted`: ids are never given out twice."""
    op.create_table(table, *items, sqlite_autoincrement=counted)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _drop_index(table: str, *columns: str) -> None:
    op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)


def _value() -> str:
    """What records are sorted by value with."""
    return "value_order" if op.get_bind().dialect.name == "sqlite" else "value"


def upgrade() -> None:
    _index_orders()
    _index_ages()
    _create_findings()
    _create_entities()
    _create_totals()
    _create_events()
    _create_access()
    _create_schedules()
    _sum_up_the_past()


def downgrade() -> None:
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
    op.execute("DELETE FROM change_counter WHERE counter_id = 2")
    _drop_index("runs", "source", "status", "run_id")
    for name, table, _columns, _where in reversed(PARTIAL_INDEXES):
        op.drop_index(name, table)
    for table, *columns in reversed(AGES):
        _drop_index(table, *columns)
    for column in (*ORDERS, _value()):
        _drop_index("records", column, "record_id")
    _index("records", "updated_at", "source")
    _index("records", "symbol")
    _index("records", "occurred_at")
    if _value() == "value_order":
        _index("records", "value_order")


def _index_orders() -> None:
    _drop_index("records", "updated_at", "source")
    _drop_index("records", "symbol")
    _drop_index("records", "occurred_at")
    if _value() == "value_order":
        _drop_index("records", "value_order")
    for column in (*ORDERS, _value()):
        _index("records", column, "record_id")
    if op.get_bind().dialect.name == "postgresql":
        # Of another collation than the column's it is found only by who asks for that one: not by the look-up of a
        # batch's keys, which belongs to the index over (source, key) however few rows the planner thinks a source has.
        _drop_index("records", "source", "record_id")
        op.execute('CREATE INDEX ix_records_source_record_id ON records (source COLLATE "POSIX", record_id)')


def _index_ages() -> None:
    for table, *columns in AGES:
        _index(table, *columns)
    for name, table, columns, where in PARTIAL_INDEXES:
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    _index("runs", "source", "status", "run_id")


def _create_findings() -> None:
    _create(
        "drift_events",
        *_id("drift_id"),
        _required("source", NAME),
        _required("partition", NAME),
        _required("run_id", BIG),
        _required("detected_at", INSTANT),
        _required("change", NAME),
        _required("path", TEXT),
        sa.Column("before", TEXT),
        sa.Column("after", TEXT),
        sa.Column("confidence", DECIMAL),
        _required("action", NAME),
        counted=True,
    )
    _index("drift_events", "source", "drift_id")
    _create(
        "schema_versions",
        _required("source", NAME),
        _required("version", NUMBER),
        _required("schema_hash", NAME),
        _required("schema", SEARCHABLE_JSON),
        sa.Column("run_id", BIG),
        _required("first_seen_at", INSTANT),
        sa.Column("accepted_at", INSTANT),
        sa.PrimaryKeyConstraint("source", "version"),
    )
    _create(
        "anomalies",
        *_id("anomaly_id"),
        _required("source", NAME),
        _required("run_id", BIG),
        _required("metric", NAME),
        _required("found", DECIMAL),
        _required("expected_low", DECIMAL),
        _required("expected_high", DECIMAL),
        _required("detected_at", INSTANT),
        sa.UniqueConstraint("run_id", "metric", name="uq_anomalies_run_id_metric"),
        counted=True,
    )
    _index("anomalies", "source", "anomaly_id")


def _create_entities() -> None:
    _create(
        "entities",
        *_id("entity_id"),
        _required("kind", NAME),
        sa.Column("symbol", NAME),
        sa.Column("name", TEXT),
        sa.Column("merged_into", BIG),
        sa.Column("name_folded", TEXT),
        counted=True,
    )
    _index("entities", "symbol")
    _create(
        "entity_links",
        _required("source", NAME),
        _required("external_id", NAME),
        _required("entity_id", BIG),
        _required("method", NAME),
        _required("confidence", DECIMAL),
        sa.PrimaryKeyConstraint("source", "external_id"),
    )
    _index("entity_links", "entity_id")


def _create_totals() -> None:
    _create(
        "run_totals",
        _required("source", NAME),
        _required("metric", NAME),
        _required("label", NAME),
        _required("value", BIG),
        sa.PrimaryKeyConstraint("source", "metric", "label"),
    )


def _create_events() -> None:
    _create(
        "outbox",
        sa.Column("event_id", BIG, autoincrement=False, nullable=False),
        _required("type", NAME),
        _required("source", NAME),
        sa.Column("run_id", BIG),
        _required("at", INSTANT),
        _required("data", SEARCHABLE_JSON),
        sa.PrimaryKeyConstraint("event_id"),
    )
    _index("outbox", "at")
    op.execute("INSERT INTO change_counter (counter_id, last_seq) VALUES (2, 0)")


def _create_access() -> None:
    _create(
        "api_keys",
        _required("name", NAME),
        _required("scope", NAME),
        _required("key_hash", NAME),
        _required("created_at", INSTANT),
        sa.Column("revoked_at", INSTANT),
        sa.PrimaryKeyConstraint("name"),
    )
    _create(
        "idempotency_keys",
        _required("key", NAME),
        _required("request_hash", NAME),
        _required("status", NUMBER),
        sa.Column("location", TEXT),
        _required("body", TEXT),
        _required("created_at", INSTANT),
        sa.PrimaryKeyConstraint("key"),
    )
    _index("idempotency_keys", "created_at")


def _create_schedules() -> None:
    _create(
        "schedules",
        _required("source", NAME),
        _required("spec", NAME),
        sa.Column("slot_at", INSTANT),
        sa.Column("next_at", INSTANT),
        sa.Column("paused_at", INSTANT),
        sa.PrimaryKeyConstraint("source"),
    )
    _create(
        "schedule_slots",
        _required("source", NAME),
        _required("slot_at", INSTANT),
        _required("state", NAME),
        sa.Column("run_id", BIG),
        _required("folded", NUMBER),
        sa.PrimaryKeyConstraint("source", "slot_at"),
    )
    _index("schedule_slots", "slot_at")


_FINISHED = "status <> 'running'"
_SUMS = (
    ("records", "inserted", "sum(inserted)"),
    ("records", "updated", "sum(updated)"),
    ("records", "unchanged", "sum(unchanged)"),
    ("records", "rejected", "sum(rejected)"),
    ("requests", "", "sum(requests)"),
    ("bytes", "", "sum(bytes_fetched)"),
    ("throttled", "", "sum(throttled)"),
)


def _sum_up_the_past() -> None:
    """The totals of the runs that are finished already. Reasons of retries are not known."""
    for metric, label, amount in _SUMS:
        _add_up(f"'{metric}'", f"'{label}'", amount)
    _add_up("'runs'", "status", "count(*)")
    _add_up("'rejections'", "code", "sum(times)", table="rejections", where="1 = 1")
    took = _microseconds()
    _add_up("'duration'", "''", f"sum({took})")
    cases = " ".join(f"WHEN {took} <= {round(bound * 1_000_000)} THEN '{bound}'" for bound in BOUNDS)
    _add_up("'duration_bucket'", f"CASE {cases} ELSE '+Inf' END", "count(*)")


def _add_up(metric: str, label: str, amount: str, table: str = "runs", where: str = _FINISHED) -> None:
    op.execute(
        f"INSERT INTO run_totals (source, metric, label, value) SELECT source, {metric}, {label}, {amount} "
        f"FROM {table} WHERE {where} GROUP BY source, {label if label[0] != chr(39) else 'source'} HAVING {amount} > 0"
    )


def _microseconds() -> str:
    """How long a run took; 0 where the clock was set back meanwhile."""
    if op.get_bind().dialect.name == "sqlite":
        return f"max(0, {_sqlite_microseconds('finished_at')} - {_sqlite_microseconds('started_at')})"
    return "greatest(0, CAST(round(extract(epoch FROM finished_at - started_at) * 1000000) AS BIGINT))"


def _sqlite_microseconds(instant: str) -> str:
    """Since 1970. SQLite's own functions know milliseconds; the text has six decimals."""
    seconds = f"CAST(strftime('%s', substr({instant}, 1, 19)) AS INTEGER)"
    return f"({seconds} * 1000000 + CAST(substr({instant}, 21, 6) AS INTEGER))"
