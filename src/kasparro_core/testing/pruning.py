"""Short words for the contract of Retention: runs that read payloads, and prunings."""

from __future__ import annotations

import hashlib
from datetime import datetime

from kasparro_core.model import BatchRead, Counters, RawPayload, RunStatus, Trigger, pack
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, later


def a_read(run_id: int, seq: int, raw_id: int | None, at: datetime, partition: str = "") -> BatchRead:
    """A read of a run; without raw_id one that brought no body."""
    return BatchRead(run_id, partition, seq, raw_id, "http://x/", 200 if raw_id else 304, at)


async def walk(
    store: Store,
    count: int,
    *,
    first: int = 0,
    source: str = SOURCE,
    partition: str = "",
    tag: str = "",
    bodies: bool = True,
    end: RunStatus | None = None,
) -> tuple[int, list[tuple[int, int]]]:
    """A run with so many reads, a second apart from `first` on: its id, and raw_id and bytes of each payload. Reads of
    the same number and tag have the same bytes."""
    raws: list[tuple[int, int]] = []
    async with store.begin() as work:
        run = await work.runs.start(source, Trigger.CLI, later(first))
        for number in range(count):
            noise = hashlib.shake_256(f"{tag} {number}".encode()).digest(100 * (number + 1))
            packed = pack(RawPayload(noise, {"format": "json"}), 1)
            raw_id = await work.raw.put(source, partition, packed) if bodies else None
            at = later(first + number)
            await work.runs.record_read(a_read(run.run_id, number, raw_id, at, partition), counters=Counters())
            raws.append((raw_id or 0, len(packed.packed)))
        if end is not None:
            await work.runs.finish(run.run_id, end, later(first + count))
        await work.commit()
    return run.run_id, raws


async def settled(store: Store, what: Prunable, bound: Bound) -> Bound:
    """What a bound means now."""
    async with store.begin(write=False) as work:
        return await work.retention.settle(what, bound)


async def prune(store: Store, what: Prunable, bound: Bound, *, limit: int = 1000) -> Pruned:
    """Prune as one committed unit of work; what was promised before is what went."""
    promised = await prunable(store, what, bound)
    async with store.begin() as work:
        went = await work.retention.prune(what, bound, limit=limit)
        await work.commit()
    assert went == promised or went.rows == limit < promised.rows
    return went


async def prunable(store: Store, what: Prunable, bound: Bound) -> Pruned:
    """What a pruning would take."""
    async with store.begin(write=False) as work:
        return await work.retention.prunable(what, bound)
