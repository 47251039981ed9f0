"""About how many records match, in bounded time: exact as long as they are few."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Integer, and_, column, func, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable, Select
from sqlalchemy.sql.compiler import SQLCompiler

from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import records

EXACT = 10_000
"""How many rows are looked at for an exact answer."""

_PROBES = 2_000
_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly however many they are and follow no period that the rows may have."""


async def estimated(session: Session, conditions: Sequence[ColumnElement[bool]]) -> int:
    """How many records meet all conditions, of which the first one is the best to look for in an index.

    Up to EXACT candidates are counted. Of more, PostgreSQL's planner tells its own estimate; SQLite, which has none, is
    asked for records spread over all ids.
    """
    matches = and_(true(), *conditions)
    seen, found = await _counted(session, matches, conditions[:1])
    if seen <= EXACT:
        return found
    guess = _sampled if session.dialect == "sqlite" else _planned
    return max(found, await guess(session, matches))


async def _counted(
    session: Session, matches: ColumnElement[bool], candidates: Sequence[ColumnElement[bool]]
) -> tuple[int, int]:
    """Of the first candidates: how many there are, and how many match."""
    return await _tally(session, select(matches.label("hit")).select_from(records).where(*candidates).limit(EXACT + 1))


async def _sampled(session: Session, matches: ColumnElement[bool]) -> int:
    """The share of the ids of all times at which a matching record is."""
    ids = select(func.min(records.c.record_id), func.max(records.c.record_id))
    first, last = tuple((await session.run(ids)).one())
    span = last - first + 1
    probes = sorted({first + int(n * _GOLDEN % 1 * span) for n in range(_PROBES)})
    given = func.json_each(json.dumps(probes)).table_valued(column("value", Integer))
    looked_at = select(matches.label("hit")).select_from(records).where(records.c.record_id.in_(select(given.c.value)))
    _, found = await _tally(session, looked_at)
    return int(found * span / len(probes))


async def _planned(session: Session, matches: ColumnElement[bool]) -> int:
    plan = (await session.run(_Explain(select(records.c.record_id).where(matches)))).scalar_one()
    return int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])


async def _tally(session: Session, hits: Select[Any]) -> tuple[int, int]:
    rows = hits.subquery()
    statement = select(func.count(), func.count().filter(rows.c.hit)).select_from(rows)
    seen, found = tuple((await session.run(statement)).one())
    return seen, found


class _Explain(Executable, ClauseElement):
    """PostgreSQL's plan of a statement, which is not run."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explain, "postgresql")
def _explain(element: _Explain, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **kw)}"
