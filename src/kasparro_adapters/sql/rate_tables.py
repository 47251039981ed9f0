"""The table of rate budgets that several processes share."""

from __future__ import annotations

from sqlalchemy import Column, Double, Table

from kasparro_adapters.sql.table_base import metadata
from kasparro_adapters.sql.types import Instant, Name, SearchableJson

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", Name, primary_key=True),
    Column("next_at", Instant),
    Column("closed_until", Instant),
    Column("lowered_to", Double),
    Column("lowered_at", Instant),
    Column("paced_to", Double),
    Column("paced_until", Instant),
    Column("places", SearchableJson),
    Column("seen_at", Instant),
)
