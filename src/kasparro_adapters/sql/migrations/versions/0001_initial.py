"""The tables of the first version.

Revision ID: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TEXT = sa.Text()
NUMBER = sa.Integer()
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DECIMAL = sa.Numeric().with_variant(sa.Text(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
SEARCHABLE_JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")


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


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _state() -> list[sa.Column[Any]]:
    return [
        _required("kind", NAME),
        sa.Column("external_id", NAME),
        sa.Column("title", TEXT),
        sa.Column("symbol", NAME),
        sa.Column("value", DECIMAL),
        sa.Column("currency", NAME),
        sa.Column("url", TEXT),
        sa.Column("occurred_at", INSTANT),
        _required("attributes", SEARCHABLE_JSON),
        _required("content_hash", NAME),
        sa.Column("raw_id", BIG),
        _required("raw_index", NUMBER),
        _required("run_id", BIG),
    ]


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    _create_records(sqlite=sqlite)
    _create_versions()
    _create_counter()
    _create_raw()
    _create_ledger()
    _create_positions()
    _create_rejections()
    _create_validators()
    _create_leases()


def downgrade() -> None:
    for table in (
        "leases",
        "http_validators",
        "rejections",
        "partitions",
        "checkpoints",
        "run_batches",
        "runs",
        "raw_batches",
        "change_counter",
        "record_versions",
        "records",
    ):
        op.drop_table(table)


def _create_records(*, sqlite: bool) -> None:
    value_order = [sa.Column("value_order", TEXT)] if sqlite else []
    _create(
        "records",
        *_id("record_id"),
        _required("source", NAME),
        _required("key", NAME),
        *_state(),
        _required("first_seen_at", INSTANT),
        _required("updated_at", INSTANT),
        _required("revision", NUMBER),
        _required("change_seq", BIG),
        sa.Column("gone_at", INSTANT),
        sa.Column("title_folded", TEXT),
        *value_order,
        _unique("records", "source", "key"),
        counted=True,
    )
    _index("records", "updated_at", "source")
    _index("records", "symbol")
    _index("records", "occurred_at")
    _index("records", "change_seq")
    if sqlite:
        _index("records", "value_order")


def _create_versions() -> None:
    _create(
        "record_versions",
        *_id("version_id"),
        _required("record_id", BIG),
        *_state(),
        _required("observed_at", INSTANT),
        _unique("record_versions", "record_id", "observed_at", "raw_id", "raw_index"),
        counted=True,
    )
    _index("record_versions", "record_id", "content_hash")


def _create_counter() -> None:
    _create(
        "change_counter",
        sa.Column("counter_id", NUMBER, autoincrement=False, nullable=False),
        _required("last_seq", BIG),
        sa.PrimaryKeyConstraint("counter_id"),
    )
    op.execute("INSERT INTO change_counter (counter_id, last_seq) VALUES (1, 0)")


def _create_raw() -> None:
    _create(
        "raw_batches",
        *_id("raw_id"),
        _required("source", NAME),
        _required("partition", NAME),
        _required("content_hash", NAME),
        _required("facts_hash", NAME),
        _required("codec", NAME),
        _required("payload", sa.LargeBinary()),
        _required("decode_facts", TEXT),
        _required("record_count", NUMBER),
        _unique("raw_batches", "source", "partition", "content_hash", "facts_hash"),
        counted=True,
    )


def _create_ledger() -> None:
    _create(
        "runs",
        *_id("run_id"),
        _required("source", NAME),
        _required("trigger", NAME),
        _required("status", NAME),
        _required("started_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        _required("fetched", BIG),
        _required("inserted", BIG),
        _required("updated", BIG),
        _required("unchanged", BIG),
        _required("rejected", BIG),
        _required("batches", BIG),
        _required("bytes_fetched", BIG),
        _required("requests", BIG),
        _required("retries", BIG),
        _required("throttled", BIG),
        sa.Column("error_code", TEXT),
        sa.Column("error", TEXT),
        sa.Column("resumes", BIG),
        counted=True,
    )
    _index("runs", "source", "run_id")
    _index("runs", "status", "run_id")
    _create(
        "run_batches",
        *_id("read_id"),
        _required("run_id", BIG),
        _required("partition", NAME),
        _required("seq", NUMBER),
        sa.Column("raw_id", BIG),
        sa.Column("url", TEXT),
        sa.Column("status", NUMBER),
        _required("observed_at", INSTANT),
        _required("counters", SEARCHABLE_JSON),
        _unique("run_batches", "run_id", "partition", "seq"),
        counted=True,
    )


def _create_positions() -> None:
    _create(
        "checkpoints",
        _required("source", NAME),
        _required("partition", NAME),
        _required("cursor", TEXT),
        _required("version", BIG),
        sa.Column("run_id", BIG),
        _required("updated_at", INSTANT),
        sa.PrimaryKeyConstraint("source", "partition"),
    )
    _create(
        "partitions",
        _required("source", NAME),
        _required("partition", NAME),
        _required("state", NAME),
        sa.Column("last_error", TEXT),
        sa.Column("next_at", INSTANT),
        sa.Column("url", TEXT),
        sa.PrimaryKeyConstraint("source", "partition"),
    )


def _create_rejections() -> None:
    identity = ("source", "partition", "stage", "code", "path", "payload_hash")
    _create(
        "rejections",
        *_id("rejection_id"),
        _required("source", NAME),
        _required("partition", NAME),
        _required("run_id", BIG),
        sa.Column("raw_id", BIG),
        _required("raw_index", NUMBER),
        _required("stage", NAME),
        _required("code", NAME),
        _required("path", TEXT),
        _required("message", TEXT),
        _required("payload", TEXT),
        _required("payload_hash", NAME),
        _required("state", NAME),
        _required("times", NUMBER),
        _required("first_seen_at", INSTANT),
        sa.Column("key", TEXT),
        _unique("rejections", *identity),
        counted=True,
    )
    _index("rejections", "source", "rejection_id")
    resolvable = sa.text("state = 'open' AND key IS NOT NULL")
    op.create_index(
        "ix_rejections_open_key",
        "rejections",
        ["source", "key"],
        sqlite_where=resolvable,
        postgresql_where=resolvable,
    )


def _create_validators() -> None:
    _create(
        "http_validators",
        _required("source", NAME),
        _required("partition", NAME),
        _required("request_hash", NAME),
        sa.Column("etag", TEXT),
        sa.Column("last_modified", TEXT),
        sa.Column("body_hash", NAME),
        _required("item_count", NUMBER),
        sa.Column("next", TEXT),
        sa.PrimaryKeyConstraint("source", "partition", "request_hash"),
    )


def _create_leases() -> None:
    _create(
        "leases",
        _required("source", NAME),
        _required("partition", NAME),
        _required("owner", NAME),
        _required("token", BIG),
        sa.Column("run_id", BIG),
        _required("expires_at", INSTANT),
        sa.PrimaryKeyConstraint("source", "partition"),
    )
