"""What is the same thing across sources, and what stands out: each part of the milestone has its own section.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TEXT = sa.Text()
NUMBER = sa.Integer()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
DECIMAL = sa.Numeric().with_variant(sa.Text(), "sqlite")
JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    _index_assets()
    _create_identity()
    _create_run_facts()
    _create_anomalies()


def downgrade() -> None:
    _drop_anomalies()
    op.drop_index("ix_runs_source_started_at", "runs")
    op.drop_table("run_facts")
    _drop_identity()
    op.drop_index("ix_records_asset", "records")


# The records of an asset, and its latest one.


def _index_assets() -> None:
    where = sa.text("external_id IS NOT NULL")
    columns = ["external_id", "source", "occurred_at", "record_id"]
    op.create_index("ix_records_asset", "records", columns, sqlite_where=where, postgresql_where=where)


# What is known of a run beside its counters.


def _create_run_facts() -> None:
    op.create_table(
        "run_facts",
        sa.Column("run_id", ID, autoincrement=False, nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_facts"),
    )
    op.create_index("ix_runs_source_started_at", "runs", ["source", "started_at"])


# What stands out. The table of this name before was never written to.

STANDING = "scope <> 'run' AND state <> 'resolved'"
PARTIAL = (
    ("uq_anomalies_standing", ["source", "metric", "subject"], STANDING),
    ("uq_anomalies_of_a_run", ["run_id", "source", "metric", "subject"], "scope = 'run'"),
    ("ix_anomalies_open", ["source", "anomaly_id"], "state = 'open'"),
    ("ix_anomalies_closed", ["last_seen_at", "anomaly_id"], "state <> 'open'"),
)


def _create_anomalies() -> None:
    op.drop_table("anomalies")
    op.create_table(
        "anomalies",
        sa.Column("anomaly_id", ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("scope", NAME, nullable=False),
        sa.Column("metric", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("found", DECIMAL, nullable=False),
        sa.Column("expected_low", DECIMAL),
        sa.Column("expected_high", DECIMAL),
        sa.Column("explanation", TEXT, nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("detected_at", INSTANT, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("times", NUMBER, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("closed_by", TEXT),
        sa.Column("note", TEXT),
        sa.PrimaryKeyConstraint("anomaly_id", name="pk_anomalies"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_anomalies_source_anomaly_id", "anomalies", ["source", "anomaly_id"])
    op.create_index("ix_anomalies_run_id_anomaly_id", "anomalies", ["run_id", "anomaly_id"])
    for name, columns, where in PARTIAL:
        condition, unique = sa.text(where), name.startswith("uq_")
        op.create_index(name, "anomalies", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
    _create_mutes()


def _create_mutes() -> None:
    op.create_table(
        "anomaly_mutes",
        sa.Column("mute_id", ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("metric", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("until", INSTANT),
        sa.Column("reason", TEXT),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", TEXT),
        sa.PrimaryKeyConstraint("mute_id", name="pk_anomaly_mutes"),
        sa.UniqueConstraint("source", "metric", "subject", name="uq_anomaly_mutes_source_metric_subject"),
        sqlite_autoincrement=True,
    )


def _drop_anomalies() -> None:
    op.drop_table("anomaly_mutes")
    op.drop_table("anomalies")
    op.create_table(
        "anomalies",
        sa.Column("anomaly_id", ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("metric", NAME, nullable=False),
        sa.Column("found", DECIMAL, nullable=False),
        sa.Column("expected_low", DECIMAL, nullable=False),
        sa.Column("expected_high", DECIMAL, nullable=False),
        sa.Column("detected_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("anomaly_id"),
        sa.UniqueConstraint("run_id", "metric", name="uq_anomalies_run_id_metric"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_anomalies_source_anomaly_id", "anomalies", ["source", "anomaly_id"])


# What is the same thing across sources. Tables of these names before were never written to.

_MERGED = "merged_into IS NOT NULL"


def _create_identity() -> None:
    op.drop_table("entity_links")
    op.drop_table("entities")
    _create_entities()
    _create_links()
    _create_candidates()
    _create_sayings()
    _create_mentions()


def _create_entities() -> None:
    op.create_table(
        "entities",
        sa.Column("age", ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("entity_id", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("symbol", NAME),
        sa.Column("name", TEXT),
        sa.Column("merged_into", NAME),
        sa.Column("founder_source", NAME),
        sa.Column("founder_id", NAME),
        sa.Column("name_folded", TEXT),
        sa.PrimaryKeyConstraint("age", name="pk_entities"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_entities_entity_id", "entities", ["entity_id"], unique=True)
    op.create_index("ix_entities_symbol_entity_id", "entities", ["symbol", "entity_id"])
    op.create_index("ix_entities_founder_source_founder_id", "entities", ["founder_source", "founder_id"])
    where = sa.text(_MERGED)
    op.create_index("ix_entities_merged_into", "entities", ["merged_into"], sqlite_where=where, postgresql_where=where)


def _create_links() -> None:
    op.create_table(
        "entity_links",
        sa.Column("source", NAME, nullable=False),
        sa.Column("external_id", NAME, nullable=False),
        sa.Column("entity_id", NAME, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("confidence", DECIMAL, nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("decided_at", INSTANT),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("symbol", NAME),
        sa.Column("name", TEXT),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("claim_hash", NAME, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("source", "external_id", name="pk_entity_links"),
    )
    op.create_index("ix_entity_links_entity_id", "entity_links", ["entity_id"])
    op.create_index("ix_entity_links_method", "entity_links", ["method"])
    op.create_table(
        "entity_keys",
        sa.Column("key", NAME, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("external_id", NAME, nullable=False),
        sa.Column("binds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("key", "source", "external_id", name="pk_entity_keys"),
    )
    op.create_index("ix_entity_keys_source_external_id", "entity_keys", ["source", "external_id"])


def _pair() -> list[sa.Column[str]]:
    return [sa.Column(name, NAME, nullable=False) for name in ("a_source", "a_id", "b_source", "b_id")]


def _create_candidates() -> None:
    op.create_table(
        "entity_candidates",
        *_pair(),
        sa.Column("reason", NAME, nullable=False),
        sa.Column("confidence", DECIMAL, nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.PrimaryKeyConstraint("a_source", "a_id", "b_source", "b_id", name="pk_entity_candidates"),
    )
    op.create_index("ix_entity_candidates_b_source_b_id", "entity_candidates", ["b_source", "b_id"])


def _create_sayings() -> None:
    op.create_table(
        "entity_rulings",
        sa.Column("ruling_id", ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("verdict", NAME, nullable=False),
        *_pair(),
        sa.Column("act", ID, nullable=False),
        sa.Column("decided_at", INSTANT, nullable=False),
        sa.Column("undone_at", INSTANT),
        sa.PrimaryKeyConstraint("ruling_id", name="pk_entity_rulings"),
        sqlite_autoincrement=True,
    )
    for columns in (["a_source", "a_id"], ["b_source", "b_id"], ["act"]):
        op.create_index(f"ix_entity_rulings_{'_'.join(columns)}", "entity_rulings", columns)
    op.create_table(
        "entity_namings",
        sa.Column("source", NAME, nullable=False),
        sa.Column("external_id", NAME, nullable=False),
        sa.Column("entity_id", NAME, nullable=False),
        sa.PrimaryKeyConstraint("source", "external_id", name="pk_entity_namings"),
    )
    op.create_table(
        "entity_renames",
        sa.Column("source", NAME, nullable=False),
        sa.Column("new_id", NAME, nullable=False),
        sa.Column("old_id", NAME, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("source", "new_id", "old_id", name="pk_entity_renames"),
    )


def _create_mentions() -> None:
    op.create_table(
        "entity_mentions",
        sa.Column("source", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("entity_id", NAME, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("confidence", DECIMAL, nullable=False),
        sa.PrimaryKeyConstraint("source", "key", "entity_id", name="pk_entity_mentions"),
    )
    op.create_index("ix_entity_mentions_entity_id", "entity_mentions", ["entity_id"])


_OURS = (
    "entity_mentions", "entity_renames", "entity_namings", "entity_rulings", "entity_candidates", "entity_keys",
    "entity_links", "entities",
)  # fmt: skip


def _drop_identity() -> None:
    """As it was before, empty."""
    for table in _OURS:
        op.drop_table(table)
    op.create_table(
        "entities",
        sa.Column("entity_id", ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("symbol", NAME),
        sa.Column("name", TEXT),
        sa.Column("merged_into", ID),
        sa.Column("name_folded", TEXT),
        sa.PrimaryKeyConstraint("entity_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entities_symbol", "entities", ["symbol"])
    op.create_table(
        "entity_links",
        sa.Column("source", NAME, nullable=False),
        sa.Column("external_id", NAME, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("confidence", DECIMAL, nullable=False),
        sa.PrimaryKeyConstraint("source", "external_id"),
    )
    op.create_index("ix_entity_links_entity_id", "entity_links", ["entity_id"])
