"""How a database goes about what a store reads: EXPLAIN of the statements that a unit of work has run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import event

from kasparro_adapters.sql import SqlStore
from kasparro_core.ports import RecordRepository, UnitOfWork

Read = Callable[[RecordRepository], Awaitable[Any]]


async def plans(store: SqlStore, read: Read) -> list[str]:
    """One text per statement of a read of records."""
    return await plans_of(store, lambda work: read(work.records))


async def plans_of(store: SqlStore, read: Callable[[UnitOfWork], Awaitable[Any]]) -> list[str]:
    """One text per statement of `read`."""
    engine, ran = store._database._reader.sync_engine, []  # type: ignore[attr-defined]

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    async with store.begin(write=False) as work:
        event.listen(engine, "before_cursor_execute", note)
        try:
            await read(work)
        finally:
            event.remove(engine, "before_cursor_execute", note)
    return [await _explained(store, statement, parameters) for statement, parameters in ran if "FROM" in statement]


async def _explained(store: SqlStore, statement: str, parameters: Any) -> str:
    async with store._database.session(write=False) as session:
        explain = "EXPLAIN QUERY PLAN" if session.dialect == "sqlite" else "EXPLAIN"
        rows = await session.driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)
