"""Many records of which the database refuses some: those are found and left out, everything else is written.

A part that fails is undone and written up to the one that failed. Where the database does not say which one that is,
the part is halved. What went well makes the next part larger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from kasparro_adapters.sql.bulk.plan import Plan
from kasparro_adapters.sql.bulk.port import BulkWriter
from kasparro_core.errors import UnstorableError
from kasparro_core.model import Observation, PreparedRecord

_GROWTH = 4


def rounds(records: Sequence[PreparedRecord]) -> list[list[PreparedRecord]]:
    """The records in rounds that have no key twice, those of one key in their order."""
    found: list[list[PreparedRecord]] = []
    seen: Counter[str] = Counter()
    for prepared in records:
        key = prepared.record.key
        if seen[key] == len(found):
            found.append([])
        found[seen[key]].append(prepared)
        seen[key] += 1
    return found


async def write_apart(
    bulk: BulkWriter, plans: Sequence[Plan], observation: Observation, first_seq: int
) -> dict[int, UnstorableError]:
    """Carry out plans of one record each, in their order; returns the places of those that were refused."""
    refused: dict[int, UnstorableError] = {}
    known: dict[int, UnstorableError] = {}
    start, step = 0, len(plans)
    while start < len(plans):
        if (error := known.pop(start, None)) is not None:
            refused[start] = error
            start += 1
            continue
        some = plans[start : start + step]
        refusal = await bulk.attempt(_joined(some), observation, first_seq + start)
        if refusal is None:
            start, step = start + len(some), step * _GROWTH
            continue
        at = _place(some, refusal.error)
        if at is None:
            step = max(1, len(some) // 2)
        else:
            known[start + at] = refusal.error
            start, step = start + (at if refusal.partly else 0), max(1, at)
    return refused


def _joined(plans: Sequence[Plan]) -> Plan:
    each = chain.from_iterable
    return Plan(
        inserts=list(each(plan.inserts for plan in plans)),
        updates=list(each(plan.updates for plan in plans)),
        keep=list(each(plan.keep for plan in plans)),
        versions=list(each(plan.versions for plan in plans)),
        returns=list(each(plan.returns for plan in plans)),
    )


def _place(plans: Sequence[Plan], error: UnstorableError) -> int | None:
    """Which of the plans was refused, if that is known."""
    if len(plans) == 1:
        return 0
    if error.item is None:
        return None
    return next((at for at, plan in enumerate(plans) if any(each is error.item for each in plan.contents)), None)
