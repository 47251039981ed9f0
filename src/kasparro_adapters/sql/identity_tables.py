"""The tables of identity: canonical things, what sources claim, and what people say."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from kasparro_adapters.sql.table_base import id_column, metadata
from kasparro_adapters.sql.types import BigId, ExactDecimal, Instant, Name, SearchableJson

entities = Table(
    "entities",
    metadata,
    id_column("age"),
    Column("entity_id", Name, nullable=False),
    Column("kind", Name, nullable=False),
    Column("symbol", Name),
    Column("name", Text),
    Column("merged_into", Name),
    Column("founder_source", Name),
    Column("founder_id", Name),
    Column("name_folded", Text),  # private: the casefolded name, so that `q` means the same on every store
    Index("uq_entities_entity_id", "entity_id", unique=True),
    Index(None, "symbol", "entity_id"),
    Index(None, "founder_source", "founder_id"),
    sqlite_autoincrement=True,
)
MERGED = entities.c.merged_into.is_not(None)

Index(  # few: who follows redirects asks for them
    "ix_entities_merged_into",
    entities.c.merged_into,
    sqlite_where=MERGED,
    postgresql_where=MERGED,
)

entity_links = Table(
    "entity_links",
    metadata,
    Column("source", Name, primary_key=True),
    Column("external_id", Name, primary_key=True),
    Column("entity_id", Name, nullable=False),
    Column("method", Name, nullable=False),
    Column("confidence", ExactDecimal, nullable=False),
    Column("evidence", SearchableJson, nullable=False),
    Column("decided_at", Instant),
    Column("kind", Name, nullable=False),
    Column("symbol", Name),
    Column("name", Text),
    Column("facts", SearchableJson, nullable=False),
    Column("claim_hash", Name, nullable=False),  # private: tells a claim that is new
    Column("seen_at", Instant, nullable=False),
    Index(None, "entity_id"),
    Index(None, "method"),
)
"""The sources' ids for entities, with what the source claims of each of them."""

entity_keys = Table(
    "entity_keys",
    metadata,
    Column("key", Name, primary_key=True),
    Column("source", Name, primary_key=True),
    Column("external_id", Name, primary_key=True),
    Column("binds", Integer, nullable=False),
    Index(None, "source", "external_id"),
)
"""Private: the blocks in which assets are decided together (binds = 1) or looked at together (0)."""

entity_crowds = Table(
    "entity_crowds",
    metadata,
    Column("source", Name, primary_key=True),
    Column("key", Name, primary_key=True),
)
"""Private: keys that so many assets of a source share that they bind none of them; `entity_keys` has them no more."""

entity_candidates = Table(
    "entity_candidates",
    metadata,
    Column("a_source", Name, primary_key=True),
    Column("a_id", Name, primary_key=True),
    Column("b_source", Name, primary_key=True),
    Column("b_id", Name, primary_key=True),
    Column("reason", Name, nullable=False),
    Column("confidence", ExactDecimal, nullable=False),
    Column("evidence", SearchableJson, nullable=False),
    Index(None, "b_source", "b_id"),
)
"""Pairs that may be one thing, `a` before `b`."""

entity_rulings = Table(
    "entity_rulings",
    metadata,
    id_column("ruling_id"),
    Column("verdict", Name, nullable=False),
    Column("a_source", Name, nullable=False),
    Column("a_id", Name, nullable=False),
    Column("b_source", Name, nullable=False),
    Column("b_id", Name, nullable=False),
    Column("act", BigId, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("undone_at", Instant),
    Index(None, "a_source", "a_id"),
    Index(None, "b_source", "b_id"),
    Index(None, "act"),
    sqlite_autoincrement=True,
)

entity_namings = Table(
    "entity_namings",
    metadata,
    Column("source", Name, primary_key=True),
    Column("external_id", Name, primary_key=True),
    Column("entity_id", Name, nullable=False),
)
"""The mapping file, as it was read last."""

entity_renames = Table(
    "entity_renames",
    metadata,
    Column("source", Name, primary_key=True),
    Column("new_id", Name, primary_key=True),
    Column("old_id", Name, primary_key=True),
    Column("changed_at", Instant, nullable=False),
)
"""Ids that a source gave up for others."""

entity_mentions = Table(
    "entity_mentions",
    metadata,
    Column("source", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("entity_id", Name, primary_key=True),
    Column("method", Name, nullable=False),
    Column("confidence", ExactDecimal, nullable=False),
    Index(None, "entity_id"),
)
"""The entities that articles speak of, by the ids that they had then."""
