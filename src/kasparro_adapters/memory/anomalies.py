"""What stands out, and what is not to be told, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model.anomaly import Anomaly, AnomalyQuery, AnomalyScope, AnomalyState, Mute
from kasparro_core.normalize.canonical import canonical_json, parse_json
from kasparro_core.policy.standing import sift

_FILTERS = ("source", "run_id", "state", "scope", "metric")


class MemoryAnomalies:
    """The anomalies of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add_anomalies(self, found: Sequence[Anomaly], /) -> Sequence[Anomaly]:
        """Keep findings; those that are to be told."""
        earlier = (row for row in self._tx.anomalies.rows() if row.stands or row.scope is AnomalyScope.RUN)
        sifted = sift(found, earlier, await self.mutes())
        for row in sifted.again:
            self._put(row)
        return sifted.told([self._put(replace(row, anomaly_id=self._tx.next("anomalies"))) for row in sifted.new])

    async def anomalies(self, query: AnomalyQuery, /) -> Sequence[Anomaly]:
        """What stands out, newest first."""
        wanted = {name: value for name in _FILTERS if (value := getattr(query, name)) is not None}
        matching = (
            row
            for row in self._tx.anomalies.rows()
            if all(getattr(row, name) == value for name, value in wanted.items())
            and (query.before is None or row.anomaly_id < query.before)
        )
        return sorted(matching, key=attrgetter("anomaly_id"), reverse=True)[: query.limit]

    async def anomaly(self, anomaly_id: int, /) -> Anomaly | None:
        """One finding, or None."""
        return self._tx.anomalies.get(anomaly_id)

    async def standing(self, source: str, /) -> Sequence[Anomaly]:
        """All findings of a source that stand."""
        rows = (row for row in self._tx.anomalies.rows() if row.source == source and row.stands)
        return sorted(rows, key=attrgetter("anomaly_id"))

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
        rows = [row for each in dict.fromkeys(ids) if (row := self._tx.anomalies.get(each)) is not None]
        closed = [row for row in rows if row.state in state.after]
        for row in closed:
            self._put(
                replace(row, state=state, closed_at=at, closed_by=by or row.closed_by, note=note or row.note),
            )
        return len(closed)

    async def open_anomalies(self) -> Mapping[str, int]:
        """How many are open, by source."""
        return Counter(row.source for row in self._tx.anomalies.rows() if _is_open(row))

    async def mutes(self, source: str | None = None, /) -> Sequence[Mute]:
        """All mutes (of one source)."""
        rows = (mute for mute in self._tx.mutes.rows() if source in (None, mute.source))
        return sorted(rows, key=attrgetter("source", "metric", "subject"))

    async def add_mute(self, mute: Mute, /) -> Mute:
        """Keep a mute, and mute what it covers."""
        same = (row for row in self._tx.mutes.rows() if _place(row) == _place(mute))
        mute_id = next((row.mute_id for row in same), None) or self._tx.next("mutes")
        kept = replace(mute, mute_id=mute_id)
        self._tx.mutes.put(mute_id, kept)
        at = kept.created_at
        covered = [row.anomaly_id for row in self._tx.anomalies.rows() if _is_open(row) and kept.covers(row, at)]
        await self.close(covered, AnomalyState.MUTED, at, by=kept.created_by, note=kept.reason)
        return kept

    async def remove_mute(self, mute_id: int, /) -> bool:
        """Take a mute away."""
        there = self._tx.mutes.get(mute_id) is not None
        if there:
            self._tx.mutes.delete(mute_id)
        return there

    def _put(self, row: Anomaly) -> Anomaly:
        evidence = parse_json(canonical_json(row.evidence))  # as it comes back from a database
        kept = replace(row, evidence=evidence)
        self._tx.anomalies.put(row.anomaly_id, kept)
        return kept


def _is_open(row: Anomaly) -> bool:
    return row.state is AnomalyState.OPEN


def _place(mute: Mute) -> tuple[str, str, str]:
    return mute.source, mute.metric, mute.subject
