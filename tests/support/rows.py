"""Records put straight into a store, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from kasparro_core.model import Observation, PreparedRecord, RawPayload, Record, pack
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.ports import Store

AT = datetime(2026, 1, 31, 10, tzinfo=UTC)
EXACT = Decimal("67187.335893656612345678901234567890123")


def prepared(record: Record, index: int = 0) -> PreparedRecord:
    """A record ready to be stored."""
    text = canonical_json(record.attributes)
    return PreparedRecord(record, content_hash(repr((record, text))), text, index)


async def put(
    store: Store,
    records: Sequence[Record],
    *,
    at: datetime = AT,
    payload: bytes | None = None,
    facts: dict[str, Any] | None = None,
    history: bool = True,
) -> int | None:
    """Commit records, which all belong to the source of the first; with a `payload` they come from it."""
    raw_id = None
    async with store.begin() as work:
        source = records[0].source
        if payload is not None:
            raw_id = await work.raw.put(
                source, "", pack(RawPayload(payload, facts or {"format": "json"}), len(records))
            )
        observation = Observation(source, 1, raw_id, at, history=history)
        await work.records.upsert([prepared(record, n) for n, record in enumerate(records)], observation)
        await work.commit()
    return raw_id


def quotes(count: int, source: str = "prices", **fields: Any) -> list[Record]:
    """Quotes with the keys 0, 1, ..., whose value is their number; the last third has none."""
    return [
        Record(
            source,
            str(n),
            "quote",
            external_id=str(n),
            title=f"Coin {n}",
            symbol=f"C{n % 3}",
            value=None if n >= count * 2 // 3 else Decimal(n),
            currency="USD",
            occurred_at=AT.replace(day=1 + n % 28),
            attributes={"rank": n},
        )._replace(**fields)
        for n in range(count)
    ]
