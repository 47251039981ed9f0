"""What it costs to ask for the latest runs does not grow with the ledger."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, text

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.repositories.runs import newest_of_each_status
from kasparro_adapters.sql.tables import runs
from kasparro_core.model import Counters, RunStatus, Trigger
from kasparro_core.testing.build import later

SOURCES = ("a", "b", "c")
EACH = 4_000


def _rows() -> list[dict[str, Any]]:
    """Sources that have succeeded for long; one failed once, at the beginning, and none still runs."""
    return [
        {
            "source": source,
            "trigger": str(Trigger.SCHEDULE),
            "status": str(RunStatus.FAILED if (source, n) == ("b", 0) else RunStatus.SUCCEEDED),
            "started_at": later(n),
            "finished_at": later(n),
            **Counters()._asdict(),
        }
        for n in range(EACH)
        for source in SOURCES
    ]


async def _plan(store: SqlStore, source: str | None) -> list[str]:
    async with store.begin() as work:
        session = work.runs._session
        sql = str(
            newest_of_each_status(source).compile(
                dialect=session._connection.dialect, compile_kwargs={"literal_binds": True}
            )
        )
        explain = "EXPLAIN QUERY PLAN" if session.dialect == "sqlite" else "EXPLAIN"
        return [str(row[-1]) for row in await session.all(text(f"{explain} {sql}"))]


async def test_the_latest_runs_are_found_by_look_ups(database_url: str) -> None:
    """Among 12,000 runs every part of the question is an index look-up: no plan reads the ledger through."""
    store = SqlStore(database_url)
    async with store.begin() as work:
        await work.runs._session.run(insert(runs), _rows())
        await work.commit()
    async with store.begin() as work:
        await work.runs._session.driver_sql("ANALYZE")
        await work.commit()
    for source in (None, "b"):
        plan = await _plan(store, source)
        touching = [step for step in plan if " runs " in f"{step} "]
        assert len(touching) >= len(RunStatus)
        assert [step for step in touching if " ix_runs_source_" not in step] == []
        assert not any("Filter" in step and "status" in step for step in plan)
    async with store.begin(write=False) as work:
        latest = await work.runs.latest()
        (only,) = await work.runs.latest("b")
    await store.close()
    assert [(found.source, found.last.started_at) for found in latest] == [(name, later(EACH - 1)) for name in SOURCES]
    assert only == latest[1]
    assert only.failure is not None
    assert only.failure.started_at == later(0)
