"""What stands out, and what of it is not to be told."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, UniqueConstraint, literal_column

from kasparro_adapters.sql.table_base import id_column, metadata
from kasparro_adapters.sql.types import BigId, ExactDecimal, Instant, Name, SearchableJson, Words

anomalies = Table(
    "anomalies",
    metadata,
    id_column("anomaly_id"),
    Column("source", Name, nullable=False),
    Column("run_id", BigId, nullable=False),
    Column("scope", Name, nullable=False),
    Column("metric", Name, nullable=False),
    Column("subject", Name, nullable=False),
    Column("found", ExactDecimal, nullable=False),
    Column("expected_low", ExactDecimal),
    Column("expected_high", ExactDecimal),
    Column("explanation", Words, nullable=False),
    Column("evidence", SearchableJson, nullable=False),
    Column("detected_at", Instant, nullable=False),
    Column("state", Name, nullable=False),
    Column("times", Integer, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", Words),
    Column("note", Words),
    Index(None, "source", "anomaly_id"),
    Index(None, "run_id", "anomaly_id"),
    sqlite_autoincrement=True,
)

OPEN = anomalies.c.state == literal_column("'open'")
OF_A_RUN = anomalies.c.scope == literal_column("'run'")
STANDING = (anomalies.c.scope != literal_column("'run'")) & (anomalies.c.state != literal_column("'resolved'"))
CLOSED = anomalies.c.state != literal_column("'open'")
"""The findings that can be pruned."""

Index(
    "uq_anomalies_standing",
    anomalies.c.source,
    anomalies.c.metric,
    anomalies.c.subject,
    unique=True,
    sqlite_where=STANDING,
    postgresql_where=STANDING,
)
Index(
    "uq_anomalies_of_a_run",
    anomalies.c.run_id,
    anomalies.c.source,
    anomalies.c.metric,
    anomalies.c.subject,
    unique=True,
    sqlite_where=OF_A_RUN,
    postgresql_where=OF_A_RUN,
)
Index("ix_anomalies_open", anomalies.c.source, anomalies.c.anomaly_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index(
    "ix_anomalies_closed",
    anomalies.c.last_seen_at,
    anomalies.c.anomaly_id,
    sqlite_where=CLOSED,
    postgresql_where=CLOSED,
)

anomaly_mutes = Table(
    "anomaly_mutes",
    metadata,
    id_column("mute_id"),
    Column("source", Name, nullable=False),
    Column("metric", Name, nullable=False),
    Column("subject", Name, nullable=False),
    Column("until", Instant),
    Column("reason", Words),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Words),
    UniqueConstraint("source", "metric", "subject"),
    sqlite_autoincrement=True,
)
