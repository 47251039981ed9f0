"""The tables of figures: what is known of a run beside its counters."""

from __future__ import annotations

from sqlalchemy import Column, Table

from kasparro_adapters.sql.table_base import metadata
from kasparro_adapters.sql.types import BigId, SearchableJson

run_facts = Table(
    "run_facts",
    metadata,
    Column("run_id", BigId, primary_key=True, autoincrement=False),
    Column("facts", SearchableJson, nullable=False),
)
