"""The tables of the service, beside the data: findings, totals, events, keys, schedules."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Index,
    Integer,
    Table,
    Text,
)

from kasparro_adapters.sql.table_base import id_column, metadata
from kasparro_adapters.sql.types import BigId, ExactDecimal, Instant, Name, SearchableJson, Words

drift_events = Table(
    "drift_events",
    metadata,
    id_column("drift_id"),
    Column("source", Name, nullable=False),
    Column("partition", Name, nullable=False),
    Column("run_id", BigId, nullable=False),
    Column("detected_at", Instant, nullable=False),
    Column("change", Name, nullable=False),
    Column("path", Words, nullable=False),
    Column("before", Words),
    Column("after", Words),
    Column("confidence", ExactDecimal),
    Column("action", Name, nullable=False),
    Index(None, "source", "drift_id"),
    sqlite_autoincrement=True,
)

schema_versions = Table(
    "schema_versions",
    metadata,
    Column("source", Name, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("schema_hash", Name, nullable=False),
    Column("schema", SearchableJson, nullable=False),
    Column("run_id", BigId),
    Column("first_seen_at", Instant, nullable=False),
    Column("accepted_at", Instant),
)

run_totals = Table(
    "run_totals",
    metadata,
    Column("source", Name, primary_key=True),
    Column("metric", Name, primary_key=True),
    Column("label", Name, primary_key=True),
    Column("value", BigId, nullable=False),
)
"""Sums since the first run, which no pruning lowers."""

outbox = Table(
    "outbox",
    metadata,
    Column("event_id", BigId, primary_key=True, autoincrement=False),
    Column("type", Name, nullable=False),
    Column("source", Name, nullable=False),
    Column("run_id", BigId),
    Column("at", Instant, nullable=False),
    Column("data", SearchableJson, nullable=False),
    Index(None, "at"),
)
"""Events. Their ids come from a row of `change_counter`, whose lock makes their order that of the commits."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", Name, primary_key=True),
    Column("scope", Name, nullable=False),
    Column("key_hash", Name, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Name, primary_key=True),
    Column("request_hash", Name, nullable=False),
    Column("status", Integer, nullable=False),
    Column("location", Words),
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "created_at"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("source", Name, primary_key=True),
    Column("spec", Name, nullable=False),
    Column("slot_at", Instant),
    Column("next_at", Instant),
    Column("paused_at", Instant),
)

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("source", Name, primary_key=True),
    Column("slot_at", Instant, primary_key=True),
    Column("state", Name, nullable=False),
    Column("run_id", BigId),
    Column("folded", Integer, nullable=False),
    Column("reason", Name),
    Index(None, "slot_at"),
)
