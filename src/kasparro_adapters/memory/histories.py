"""What is looked at when a run has ended, in memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from kasparro_adapters.memory.tables import RecordRow, SeenState, Transaction
from kasparro_core.model.entity import AssetId
from kasparro_core.model.latest import MOST_FIGURE, MOST_RANK, Earlier, Late, Latest, Twin
from kasparro_core.normalize.canonical import parse_json

_QUOTE = "quote"


class MemoryHistories:
    """The Histories of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def changed(
        self, source: str, kind: str, run_id: int, since: datetime, /, *, limit: int = 20_000
    ) -> Sequence[Latest]:
        """Those of the run, seen last first."""
        rows = (row for row in self._present(source, kind) if row.state.run_id == run_id)
        brought = heapq.nlargest(limit, (row for row in rows if row.state.observed_at >= since), key=_seen)
        return [_with_figures(_latest(row)._replace(before=self._before(row)), row) for row in brought]

    async def newest(self, source: str, kind: str, /, *, limit: int = 20_000) -> Sequence[Latest]:
        """Those added last."""
        added = heapq.nlargest(limit, self._present(source, kind), key=lambda row: row.record_id)
        return [_latest(row) for row in added]

    async def silent(
        self, source: str, kind: str, before: datetime, /, *, revisions: int, limit: int = 500
    ) -> Sequence[Latest]:
        """Those that are old enough."""
        rows = (row for row in self._present(source, kind) if row.revision >= revisions)
        return [
            _latest(row) for row in heapq.nlargest(limit, (r for r in rows if r.state.observed_at < before), key=_seen)
        ]

    async def earlier(self, record_ids: Sequence[int], /, *, limit: int = 30) -> Mapping[int, Sequence[Earlier]]:
        """The versions of each, seen last first."""
        found = {record_id: self._versions(record_id)[:limit] for record_id in record_ids}
        return {record_id: [_earlier(state) for state in states] for record_id, states in found.items() if states}

    async def late(self, source: str, run_id: int, since: datetime, /, *, limit: int = 1_000) -> Sequence[Late]:
        """Versions of the run that were seen after the state that stands."""
        found = [
            Late(row.state.record.key, stood, said, state.observed_at)
            for row in self._of(source)
            for state in self._versions(row.record_id)
            if state.run_id == run_id != row.state.run_id
            and state.observed_at >= since
            and state.observed_at > row.state.observed_at
            and (stood := row.state.record.occurred_at) is not None
            and (said := state.record.occurred_at) is not None
            and said < stood
        ]
        return heapq.nlargest(limit, found, key=lambda late: late.seen_at)

    async def twins(self, source: str, external_ids: Sequence[str], /) -> Sequence[Twin]:
        """By the links of the same entities."""
        entities: dict[str, list[str]] = {}
        for external_id in dict.fromkeys(external_ids):
            if (known := self._tx.links.get(AssetId(source, external_id))) is not None:
                entities.setdefault(known.link.entity_id, []).append(external_id)
        links = (known.link for known in self._tx.links.rows())
        found = [
            Twin(external_id, link.entity_id, link.source, row.record_id, value, row.state.record.currency, _at(row))
            for link in links
            if link.source != source and link.entity_id in entities
            and (row := self._quote(link.source, link.external_id)) is not None
            and (value := row.state.record.value) is not None
            for external_id in entities[link.entity_id]
        ]  # fmt: skip
        return sorted(found, key=lambda twin: (twin.source, twin.record_id))

    def _of(self, source: str) -> Iterator[RecordRow]:
        return (row for row in self._tx.records.rows() if row.state.record.source == source)

    def _present(self, source: str, kind: str) -> Iterator[RecordRow]:
        return (row for row in self._of(source) if row.gone_at is None and row.state.record.kind == kind)

    def _quote(self, source: str, external_id: str) -> RecordRow | None:
        record_id = self._tx.record_ids.get((source, external_id))
        if record_id is None:
            return None
        row = cast("RecordRow", self._tx.records.get(record_id))
        record = row.state.record
        return row if (record.kind, record.external_id, row.gone_at) == (_QUOTE, external_id, None) else None

    def _versions(self, record_id: int) -> list[SeenState]:
        return sorted(self._tx.versions.get(record_id) or (), key=_place, reverse=True)

    def _before(self, row: RecordRow) -> Decimal | None:
        currency = row.state.record.currency
        values = (each.record.value for each in self._versions(row.record_id) if each.record.currency == currency)
        return next(values, None)


def _seen(row: RecordRow) -> tuple[datetime, int]:
    return row.state.observed_at, row.record_id


def _place(state: SeenState) -> tuple[datetime, int, int]:
    return state.observed_at, state.raw_id or 0, state.raw_index


def _at(row: RecordRow) -> datetime:
    return row.state.record.occurred_at or row.state.observed_at


def _latest(row: RecordRow) -> Latest:
    record = row.state.record
    plain = (record.key, record.external_id, record.symbol, record.value, record.currency, record.occurred_at)
    return Latest(row.record_id, *plain, row.state.observed_at)


def _earlier(state: SeenState) -> Earlier:
    record = state.record
    return Earlier(record.value, record.currency, record.occurred_at, state.observed_at)


def _with_figures(latest: Latest, row: RecordRow) -> Latest:
    if row.state.record.kind != _QUOTE:
        return latest
    attributes = parse_json(row.state.attributes_json)
    rank, cap, volume = (attributes.get(name) for name in ("rank", "market_cap", "volume_24h"))
    return latest._replace(rank=_rank(rank), market_cap=_float(cap), volume=_float(volume))


def _float(number: int | Decimal | None) -> float | None:
    return None if number is None else float(max(min(Decimal(number), MOST_FIGURE), -MOST_FIGURE))


def _rank(number: int | None) -> int | None:
    return None if number is None else max(min(number, MOST_RANK), -MOST_RANK)
