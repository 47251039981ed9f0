"""What is not to be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Row, delete, func, select, update

from kasparro_adapters.sql.anomaly_tables import OPEN, anomalies, anomaly_mutes
from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.types import storable
from kasparro_core.model.anomaly import AnomalyState, Mute

_IDENTITY = ("source", "metric", "subject")
_CHANGING = ("until", "reason", "created_at", "created_by")


class SqlMutes:
    """The part of the FindingStore of one transaction that is about mutes."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def mutes(self, source: str | None = None, /) -> Sequence[Mute]:
        """All mutes (of one source)."""
        return await self._mutes(None if source is None else {source})

    async def add_mute(self, mute: Mute, /) -> Mute:
        """Keep a mute, and mute what it covers."""
        mute = replace(mute, metric=storable(mute.metric), subject=storable(mute.subject))
        insert = self._database.insert(anomaly_mutes)
        changed = {name: insert.excluded[name] for name in _CHANGING}
        statement = insert.on_conflict_do_update(index_elements=_IDENTITY, set_=changed)
        values = {name: value for name, value in asdict(mute).items() if name != "mute_id"}
        row = await self._session.run(statement.returning(anomaly_mutes.c.mute_id), values)
        await self._apply(mute)
        return replace(mute, mute_id=int(row.scalar_one()))

    async def remove_mute(self, mute_id: int, /) -> bool:
        """Take a mute away."""
        gone = await self._session.run(delete(anomaly_mutes).where(anomaly_mutes.c.mute_id == mute_id))
        return bool(gone.rowcount)

    async def _mutes(self, sources: Collection[str] | None) -> list[Mute]:
        table = anomaly_mutes.c
        statement = select(anomaly_mutes).order_by(table.source, table.metric, table.subject)
        if sources is not None:
            statement = statement.where(self._database.among(table.source, sorted(sources)))
        return [_mute(row) for row in await self._session.all(statement)]

    async def _apply(self, mute: Mute) -> None:
        if mute.until is not None and mute.until <= mute.created_at:
            return
        table = anomalies.c
        covered = update(anomalies).where(OPEN, table.source == mute.source)
        if mute.metric:
            covered = covered.where(table.metric == mute.metric)
        if mute.subject:
            covered = covered.where(table.subject == mute.subject)
        values = {
            "state": str(AnomalyState.MUTED),
            "closed_at": mute.created_at,
            "closed_by": func.coalesce(mute.created_by, table.closed_by),
            "note": func.coalesce(mute.reason, table.note),
        }
        await self._session.run(covered.values(values))


def _mute(row: Row[tuple[object, ...]]) -> Mute:
    return Mute(**row._mapping)
