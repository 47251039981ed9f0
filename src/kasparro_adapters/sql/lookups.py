"""Joins that are look-ups: for each row on the left the index of the table on the right is asked once.

A planner that has no statistics yet, of a table that one transaction fills, takes any way for a short one: it reads
all of a source for each row. PostgreSQL leaves a subquery with an OFFSET as it is written; SQLite finds the index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, select, true


class LookedUp(NamedTuple):
    """What to select from, and the columns of the table in it."""

    rows: FromClause
    c: Any


def look_up(
    dialect: str, given: FromClause, table: FromClause, on: ColumnElement[bool], *, outer: bool = False
) -> LookedUp:
    """`given` with the rows of `table` for which `on` holds; with `outer` also those that have none."""
    if dialect == "sqlite":
        return LookedUp(given.join(table, on, isouter=outer), table.c)
    found = select(table).where(on).offset(0).lateral()
    return LookedUp(given.join(found, true(), isouter=outer), found.c)
