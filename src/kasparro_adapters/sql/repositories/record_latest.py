"""The latest record of each of a few assets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Select, select, union_all

from kasparro_adapters.sql.repositories.record_rows import stored_record
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import records
from kasparro_core.model import StoredRecord
from kasparro_core.model.entity import AssetId

_AT_ONCE = 50
"""Assets of one statement, which asks twice for each: SQLite takes 500 parts."""


async def latest_records(session: Session, assets: Sequence[AssetId]) -> list[StoredRecord]:
    """Of each asset the record that occurred last. Each is one step of the index of assets: those with an occurred_at
    and those without are asked for apart, because the two databases have nulls on different sides."""
    found: dict[tuple[str, str | None], StoredRecord] = {}
    wanted = sorted(set(assets))
    for start in range(0, len(wanted), _AT_ONCE):
        parts = [part for asset in wanted[start : start + _AT_ONCE] for part in _parts(asset)]
        for row in await session.all(union_all(*parts)):
            stored = stored_record(row)
            place = (stored.record.source, stored.record.external_id)
            if stored.record.occurred_at is not None or place not in found:
                found[place] = stored
    return [found[asset] for asset in wanted if asset in found]


def _parts(asset: AssetId) -> Iterator[Select[tuple[object, ...]]]:
    table = records.c
    mine = select(records).where(table.external_id == asset.external_id, table.source == asset.source)
    latest_first = mine.order_by(table.occurred_at.desc(), table.record_id.desc()).limit(1)
    for part in (latest_first.where(table.occurred_at.is_not(None)), latest_first.where(table.occurred_at.is_(None))):
        yield select(part.subquery())
