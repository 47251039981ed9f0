"""In which blocks assets lie: many short rows, which go past the ORM's row by row handling."""

from __future__ import annotations

from collections.abc import Mapping

from kasparro_adapters.sql.session import Session
from kasparro_core.model.entity import AssetId, Blocks

_COLUMNS = "entity_keys (key, source, external_id, binds)"
_EACH = f"INSERT INTO {_COLUMNS} VALUES (?, ?, ?, ?)"
_ARRAYS = f"INSERT INTO {_COLUMNS} SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[])"


async def put_blocks(session: Session, blocks: Mapping[AssetId, Blocks]) -> None:
    """Insert the keys of assets that have none. In the order of the index: neighbours are written together."""
    rows = sorted(
        (key, *asset, binds)
        for asset, kept in blocks.items()
        for binds, keys in ((1, kept.binding), (0, kept.loose))
        for key in keys
    )
    if not rows:
        return
    if session.dialect == "postgresql":
        await session.driver_sql(_ARRAYS, tuple(list(column) for column in zip(*rows, strict=True)))
    else:
        await session.driver_sql(_EACH, rows)
