"""About how many records match, in bounded time: exact as long as they are few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, true
from sqlalchemy.sql import Select

from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import records

EXACT = 10_000
"""How many rows are looked at for an exact answer."""

_PROBES = 2_000
_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly however many they are and follow no period that the rows may have."""


async def estimated(
    session: Session, conditions: Sequence[ColumnElement[bool]], indexed: Sequence[ColumnElement[bool]]
) -> int:
    """How many records meet all conditions. `indexed`: those of them that an index finds, the best one first.

    Up to EXACT candidates are counted. Where there are more, records spread over all ids are asked: what PostgreSQL's
    planner would tell knows nothing of titles, and of a new table nothing at all.
    """
    matches = and_(true(), *conditions)
    hits = select(matches.label("hit")).select_from(records)
    seen, found = await _tally(session, hits.where(*indexed[:1]).limit(EXACT + 1))
    if seen <= EXACT:
        return found
    return max(found, await _sampled(session, hits))


async def _sampled(session: Session, hits: Select[Any]) -> int:
    """The share of the ids of all times at which a matching record is."""
    ids = select(func.min(records.c.record_id), func.max(records.c.record_id))
    first, last = tuple((await session.run(ids)).one())
    span = last - first + 1
    probes = sorted({first + int(n * _GOLDEN % 1 * span) for n in range(_PROBES)})
    _, found = await _tally(session, hits.where(records.c.record_id.in_(probes)))
    return int(found * span / len(probes))


async def _tally(session: Session, hits: Select[Any]) -> tuple[int, int]:
    """How many rows there are, and how many of them are hits."""
    rows = hits.subquery()
    statement = select(func.count(), func.count().filter(rows.c.hit)).select_from(rows)
    seen, found = tuple((await session.run(statement)).one())
    return seen, found
