"""What all tables share: one MetaData with its naming convention, and how ids are given out."""

from __future__ import annotations

from sqlalchemy import Column, Identity, MetaData

from kasparro_adapters.sql.types import BigId

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column(name: str) -> Column[int]:
    """A number that the database gives out."""
    return Column(name, BigId, Identity(), primary_key=True, autoincrement=True)
