"""Joins that are look-ups: for each row on the left the index of the table on the right is asked once.

A planner that has no statistics yet, of a table that one transaction fills, takes any way for a short one: it reads
all of a source for each row, or all of the table once. PostgreSQL leaves a subquery with an OFFSET as it is written;
SQLite keeps to the order of a CROSS JOIN, and of a LEFT JOIN whose right side may be missing
(https://www.sqlite.org/optoverview.html#manual_control_of_query_plans_using_cross_join).
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from sqlalchemy import ClauseElement, ColumnElement, FromClause, Join, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class _InOrder(Join):
    """A join that reads its left side first, in SQLite's words."""

    inherit_cache = True


@compiles(_InOrder)
def _in_order(join: _InOrder, compiler: SQLCompiler, **kwargs: Any) -> str:
    kwargs["asfrom"] = True
    left, right = compiler.process(join.left, **kwargs), compiler.process(join.right, **kwargs)
    return f"{left} CROSS JOIN {right} ON {compiler.process(cast(ClauseElement, join.onclause), **kwargs)}"


class LookedUp(NamedTuple):
    """What to select from, and the columns of the table in it."""

    rows: FromClause
    c: Any


def look_up(
    dialect: str, given: FromClause, table: FromClause, on: ColumnElement[bool], *, outer: bool = False
) -> LookedUp:
    """`given` with the rows of `table` for which `on` holds; with `outer` also those that have none."""
    if dialect == "sqlite":
        return LookedUp(given.outerjoin(table, on) if outer else _InOrder(given, table, on), table.c)
    found = select(table).where(on).offset(0).lateral()
    return LookedUp(given.join(found, true(), isouter=outer), found.c)
