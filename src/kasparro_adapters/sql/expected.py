"""All tables together, as a database of this program has them."""

from __future__ import annotations

from sqlalchemy import Column, Index, MetaData, Text

from kasparro_adapters.sql import anomaly_tables as _anomaly_tables  # noqa: F401 - its tables join the metadata
from kasparro_adapters.sql import figure_tables as _figure_tables  # noqa: F401 - its tables join the metadata
from kasparro_adapters.sql import identity_tables as _identity_tables  # noqa: F401 - its tables join the metadata
from kasparro_adapters.sql import rate_tables as _rate_tables  # noqa: F401 - its table joins the metadata
from kasparro_adapters.sql import service_tables as _service_tables  # noqa: F401 - its tables join the metadata
from kasparro_adapters.sql.table_base import metadata
from kasparro_adapters.sql.tables import value_order

TABLES = frozenset(metadata.tables)
"""Their names, the private ones too."""


def expected_metadata(dialect: str) -> MetaData:
    """The tables as they look on "sqlite" or "postgresql"."""
    copy = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    if dialect == "sqlite":
        twin = Column(value_order.name, Text)
        copy.tables["records"].append_column(twin)
        Index(None, twin, "record_id")
    else:
        Index(None, copy.tables["records"].c.value, "record_id")
    return copy
