"""Rejections in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
        """Keep them; with `again`, all are counted, and one that is known grows `times`, and opens again if it was
        resolved."""
        for rejection in rejections:
            payload = canonical_json(rejection.payload)
            digest = hashlib.sha256(payload.encode()).hexdigest()
            identity = (source, partition, str(rejection.stage), rejection.code, stored_path(rejection.path), digest)
            known = self._tx.rejection_ids.get(identity)
            rejection_id = known if known is not None else self._tx.next("rejections")
            stored = _first(rejection_id, source, partition, run_id, raw_id, rejection, payload, at.astimezone(UTC))
            if known is not None:
                if again:
                    self._repeat(stored)
                continue
            self._tx.rejection_ids.put(identity, rejection_id)
            self._tx.rejections.put(rejection_id, stored)
            self._index(stored)
        if again:
            await self._totals.add(source, amounts_of_rejections(rejections))

    async def resolve(self, source: str, keys: Sequence[str], /) -> int:
        """Mark open rejections with one of these record keys as resolved."""
        return sum(self._resolve(source, key) for key in dict.fromkeys(keys))

    async def get(self, rejection_id: int, /) -> StoredRejection | None:
        """One rejection, or None."""
        return self._tx.rejections.get(rejection_id)

    async def list(self, query: RejectionQuery, /) -> list[StoredRejection]:
        """Rejections, newest first."""
        matching = [row for row in self._tx.rejections.rows() if _matches(row, query)]
        return sorted(matching, key=attrgetter("rejection_id"), reverse=True)[: query.limit]

    def _repeat(self, new: StoredRejection) -> None:
        stored = self._tx.rejections.get(new.rejection_id)
        if stored is None:
            raise LookupError(f"rejection {new.rejection_id} is indexed but not stored")
        grown = replace(stored, times=stored.times + 1)
        if stored.state == RejectionState.RESOLVED:
            grown = replace(grown, state=new.state, run_id=new.run_id, raw_id=new.raw_id, raw_index=new.raw_index)
            self._index(stored)
        self._tx.rejections.put(new.rejection_id, grown)

    def _index(self, stored: StoredRejection) -> None:
        """Note an open rejection under its record key, so that loads find it without a search."""
        if stored.key is not None:
            known = self._tx.rejections_by_key.get((stored.source, stored.key)) or ()
            self._tx.rejections_by_key.put((stored.source, stored.key), (*known, stored.rejection_id))

    def _resolve(self, source: str, key: str) -> int:
        ids = self._tx.rejections_by_key.get((source, key)) or ()
        for rejection_id in ids:
            stored = self._tx.rejections.get(rejection_id)
            if stored is not None:
                self._tx.rejections.put(rejection_id, replace(stored, state=str(RejectionState.RESOLVED)))
        if ids:
            self._tx.rejections_by_key.put((source, key), ())
        return len(ids)


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
        key=stored_key(rejection.key),
    )


def _matches(row: StoredRejection, query: RejectionQuery) -> bool:
    return (
        query.source in (None, row.source)
        and query.state in (None, row.state)
        and query.stage in (None, row.stage)
        and query.code in (None, row.code)
        and (query.before is None or row.rejection_id < query.before)
    )
