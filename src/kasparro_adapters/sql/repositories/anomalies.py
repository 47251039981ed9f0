"""What stands out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, update

from kasparro_adapters.sql.anomaly_tables import OPEN, STANDING, anomalies
from kasparro_adapters.sql.repositories.mutes import SqlMutes
from kasparro_adapters.sql.types import storable, storable_json
from kasparro_core.model.anomaly import Anomaly, AnomalyQuery, AnomalyScope, AnomalyState
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json
from kasparro_core.policy.standing import sift

_FILTERS = ("source", "run_id", "state", "scope", "metric")
_DECIMALS = ("found", "expected_low", "expected_high")
_AT_ONCE = 500
"""Rows, or ids, of one statement: they are bound parameters."""

_CHANGING = (
    "found", "expected_low", "expected_high", "explanation", "evidence", "state", "times", "last_seen_at", "closed_at",
    "closed_by", "note",
)  # fmt: skip
_GROW = (
    update(anomalies)
    .where(anomalies.c.anomaly_id == bindparam("known"))
    .values({name: bindparam(f"new_{name}", type_=anomalies.c[name].type) for name in _CHANGING})
)


class SqlAnomalies(SqlMutes):
    """The part of the FindingStore of one transaction that is about anomalies."""

    async def add_anomalies(self, found: Sequence[Anomaly], /) -> Sequence[Anomaly]:
        """Keep findings; those that are to be told. What stands is locked until the commit, so that nobody acknowledges
        it meanwhile; what somebody else has just added is his to tell."""
        if not found:
            return []
        given = [replace(each, subject=storable(each.subject)) for each in found]
        mutes = await self._mutes({each.source for each in given})
        standing = {each.source for each in given if each.scope is not AnomalyScope.RUN}
        sifted = sift(given, await self._standing(standing), mutes)
        if sifted.again:
            await self._session.run(_GROW, [self._growth(each) for each in sifted.again])
        return sifted.told(await self._inserted(sifted.new))

    async def anomalies(self, query: AnomalyQuery, /) -> Sequence[Anomaly]:
        """What stands out, newest first."""
        statement = select(anomalies).order_by(anomalies.c.anomaly_id.desc()).limit(query.limit)
        wanted = {name: value for name in _FILTERS if (value := getattr(query, name)) is not None}
        for name, value in wanted.items():
            statement = statement.where(OPEN if value is AnomalyState.OPEN else anomalies.c[name] == value)
        if query.before is not None:
            statement = statement.where(anomalies.c.anomaly_id < query.before)
        return await self._found(statement)

    async def anomaly(self, anomaly_id: int, /) -> Anomaly | None:
        """One finding, or None."""
        found = await self._found(select(anomalies).where(anomalies.c.anomaly_id == anomaly_id))
        return found[0] if found else None

    async def standing(self, source: str, /) -> Sequence[Anomaly]:
        """All findings of a source that stand."""
        return await self._found(_standing_of([source]))

    async def close(
        self,
        ids: Sequence[int],
        state: AnomalyState,
        at: datetime,
        /,
        *,
        by: str | None = None,
        note: str | None = None,
    ) -> int:
        """Bring those of them that may to a state."""
        table, closed = anomalies.c, 0
        values = {
            "state": str(state),
            "closed_at": at,
            "closed_by": func.coalesce(None if by is None else storable(by), table.closed_by),
            "note": func.coalesce(None if note is None else storable(note), table.note),
        }
        may = update(anomalies).where(table.state.in_([str(each) for each in sorted(state.after)])).values(values)
        for start in range(0, len(ids), _AT_ONCE):
            some = may.where(table.anomaly_id.in_(ids[start : start + _AT_ONCE]))
            closed += int((await self._session.run(some)).rowcount)
        return closed

    async def open_anomalies(self) -> Mapping[str, int]:
        """How many are open, by source."""
        statement = select(anomalies.c.source, func.count().label("open_ones")).where(OPEN).group_by(anomalies.c.source)
        return {str(row.source): int(row.open_ones) for row in await self._session.all(statement)}

    async def _standing(self, sources: Collection[str]) -> list[Anomaly]:
        return await self._found(_standing_of(sorted(sources)).with_for_update()) if sources else []

    async def _inserted(self, new: Sequence[Anomaly]) -> list[Anomaly]:
        """Each with its id; without those that are there already."""
        kept: list[Anomaly] = []
        for start in range(0, len(new), _AT_ONCE):
            values = [self._values(each) for each in new[start : start + _AT_ONCE]]
            insert = self._database.insert(anomalies).values(values)
            rows = await self._session.all(insert.on_conflict_do_nothing().returning(anomalies))
            kept += sorted(map(_anomaly, rows), key=attrgetter("anomaly_id"))
        return kept

    async def _found(self, statement: Select[Any]) -> list[Anomaly]:
        return [_anomaly(row) for row in await self._session.all(statement)]

    def _growth(self, anomaly: Anomaly) -> dict[str, Any]:
        values = self._values(anomaly)
        return {"known": anomaly.anomaly_id, **{f"new_{name}": values[name] for name in _CHANGING}}

    def _values(self, anomaly: Anomaly) -> dict[str, Any]:
        values = {name: value for name, value in asdict(anomaly).items() if name != "anomaly_id"}
        if self._session.dialect == "sqlite":  # whose numbers are binary
            given = {name: value for name in _DECIMALS if (value := values[name]) is not None}
            values.update({name: canonical_decimal(value) for name, value in given.items()})
        return {**values, "evidence": canonical_json(storable_json(anomaly.evidence))}


def _standing_of(sources: Sequence[str]) -> Select[Any]:
    return select(anomalies).where(anomalies.c.source.in_(sources), STANDING).order_by(anomalies.c.anomaly_id)


def _anomaly(row: Row[Any]) -> Anomaly:
    values = dict(row._mapping)
    return Anomaly(**{**values, "scope": AnomalyScope(values["scope"]), "state": AnomalyState(values["state"])})
