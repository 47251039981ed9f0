"""Rejections in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

from kasparro_adapters.memory.service import MemoryTotals
from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model import Rejection, RejectionQuery, RejectionState, StoredRejection
from kasparro_core.model.rejection import stored_key, stored_path
from kasparro_core.model.totals import amounts_of_rejections
from kasparro_core.normalize.canonical import canonical_json


class MemoryRejections:
    """The RejectionStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction
        self._totals = MemoryTotals(transaction)

    async def add(
        self,
        source: str,
        partition: str,
        run_id: int,
        raw_id: int | None,
        rejections: Sequence[Rejection],
        at: datetime,
        /,
        *,
        again: bool = True,
    ) -> None:
        """Keep them; with `again`, all are counted, and one that is known grows `times`."""
        for rejection in rejections:
            payload = canonical_json(rejection.payload)
            digest = hashlib.sha256(payload.encode()).hexdigest()
            identity = (source, partition, str(rejection.stage), rejection.code, stored_path(rejection.path), digest)
            known = self._tx.rejection_ids.get(identity)
            rejection_id = known if known is not None else self._tx.next("rejections")
            stored = _first(rejection_id, source, partition, run_id, raw_id, rejection, payload, at.astimezone(UTC))
            if known is not None:
                self._repeat(stored, again=again)
                continue
            self._tx.rejection_ids.put(identity, rejection_id)
            self._tx.rejections.put(rejection_id, stored)
            self._index(stored)
        if again:
            await self._totals.add(source, amounts_of_rejections(rejections))

    async def resolve(self, source: str, keys: Sequence[str], at: datetime, /, *, again: bool = True) -> int:
        """Mark open rejections with one of these record keys as resolved."""
        at = at.astimezone(UTC)
        return sum(self._resolve(source, key, at, again=again) for key in dict.fromkeys(keys))

    async def settle(self, raw_id: int, items: Collection[int], still: Sequence[Rejection], /) -> int:
        """Close those that point there and are over."""
        known = {_told_by(rejection, canonical_json(rejection.payload)) for rejection in still}
        over = [
            row
            for row in self._tx.rejections.rows()
            if row.raw_id == raw_id and row.raw_index in items and _is_open(row)
            if (row.stage, row.code, row.path, row.payload) not in known
        ]
        for row in over:
            self._close(row, RejectionState.RESOLVED, row.last_seen_at)
        return len(over)

    async def drop(self, ids: Sequence[int], at: datetime, /) -> int:
        """Close those that are open."""
        found = [row for each in dict.fromkeys(ids) if (row := self._tx.rejections.get(each)) and _is_open(row)]
        for row in found:
            self._close(row, RejectionState.DROPPED, at.astimezone(UTC))
        return len(found)

    async def get(self, rejection_id: int, /) -> StoredRejection | None:
        """One rejection, or None."""
        return self._tx.rejections.get(rejection_id)

    async def list(self, query: RejectionQuery, /) -> list[StoredRejection]:
        """Rejections, newest first."""
        matching = [row for row in self._tx.rejections.rows() if _matches(row, query)]
        return sorted(matching, key=attrgetter("rejection_id"), reverse=True)[: query.limit]

    def _repeat(self, new: StoredRejection, *, again: bool) -> None:
        stored = self._tx.rejections.get(new.rejection_id)
        if stored is None:
            raise LookupError(f"rejection {new.rejection_id} is indexed but not stored")
        last_seen_at = max(stored.last_seen_at, new.last_seen_at)
        grown = replace(stored, times=stored.times + again, last_seen_at=last_seen_at)
        if stored.state == RejectionState.RESOLVED and (again or _is_after(new, stored.closed_at)):
            grown = replace(
                grown, state=new.state, closed_at=None, run_id=new.run_id, raw_id=new.raw_id, raw_index=new.raw_index
            )
            self._index(stored)
        self._tx.rejections.put(new.rejection_id, grown)

    def _index(self, stored: StoredRejection) -> None:
        """Note an open rejection under its record key, so that loads find it without a search."""
        if stored.key is not None:
            known = self._tx.rejections_by_key.get((stored.source, stored.key)) or ()
            self._tx.rejections_by_key.put((stored.source, stored.key), (*known, stored.rejection_id))

    def _resolve(self, source: str, key: str, at: datetime, *, again: bool) -> int:
        ids = self._tx.rejections_by_key.get((source, key)) or ()
        found = [row for each in ids if (row := self._tx.rejections.get(each)) and (again or row.last_seen_at <= at)]
        for row in found:
            self._close(row, RejectionState.RESOLVED, at)
        return len(found)

    def _close(self, row: StoredRejection, state: RejectionState, at: datetime) -> None:
        self._tx.rejections.put(row.rejection_id, replace(row, state=str(state), closed_at=at))
        if row.key is not None:
            ids = self._tx.rejections_by_key.get((row.source, row.key)) or ()
            others = tuple(each for each in ids if each != row.rejection_id)
            self._tx.rejections_by_key.put((row.source, row.key), others)


def _first(
    rejection_id: int,
    source: str,
    partition: str,
    run_id: int,
    raw_id: int | None,
    rejection: Rejection,
    payload: str,
    at: datetime,
) -> StoredRejection:
    return StoredRejection(
        rejection_id=rejection_id,
        source=source,
        partition=partition,
        run_id=run_id,
        raw_id=raw_id,
        raw_index=rejection.index,
        stage=str(rejection.stage),
        code=rejection.code,
        path=stored_path(rejection.path),
        message=rejection.message,
        payload=payload,
        state=str(RejectionState.OPEN),
        times=1,
        first_seen_at=at,
        last_seen_at=at,
        closed_at=None,
        key=stored_key(rejection.key),
    )


def _told_by(rejection: Rejection, payload: str) -> tuple[str, str, str, str]:
    return (str(rejection.stage), rejection.code, stored_path(rejection.path), payload)


def _is_open(row: StoredRejection) -> bool:
    return row.state == RejectionState.OPEN


def _is_after(new: StoredRejection, closed_at: datetime | None) -> bool:
    return closed_at is not None and closed_at < new.last_seen_at


def _matches(row: StoredRejection, query: RejectionQuery) -> bool:
    return (
        query.source in (None, row.source)
        and query.state in (None, row.state)
        and query.stage in (None, row.stage)
        and query.code in (None, row.code)
        and (query.before is None or row.rejection_id < query.before)
    )
