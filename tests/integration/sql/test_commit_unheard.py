"""A connection that is cut while its COMMIT is still under way on the server."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told
from sqlalchemy import event

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_core.model import RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner
from kasparro_core.testing.build import table

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")
PAGES = [[{"id": f"{page}-{n}", "price": str(n)} for n in range(5)] for page in range(3)]
GATE = 4711
SLOW = (
    f"""CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.version = 2 THEN PERFORM pg_advisory_xact_lock({GATE}); END IF; RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON checkpoints DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION slow()""",
)


async def _waiting(connection: asyncpg.Connection, event_type: str, number: int) -> None:
    """Until so many sessions wait for a lock of that kind."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    query += f" AND wait_event {event_type}"
    async with asyncio.timeout(30):
        while await connection.fetchval(query) < number:
            await asyncio.sleep(0.01)


@pytest.mark.postgres
async def test_a_commit_that_goes_through_after_its_connection_was_cut_is_not_made_twice(postgres_url: str) -> None:
    """The next attempt begins while the server is still at it: it waits, finds the batch written and goes on with the
    next page; the run has one of each."""
    gate, watcher = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    for statement in SLOW:
        await gate.execute(statement)
    await gate.execute(f"SELECT pg_advisory_lock({GATE})")
    store, source, cut = SqlStore(postgres_url), ScriptedSource({"": list(PAGES)}), []

    @event.listens_for(store._database._writer.sync_engine, "connect")  # type: ignore[attr-defined]
    def _made(dbapi: Any, _record: object) -> None:
        cut.append(dbapi.driver_connection)

    async def meanwhile() -> None:
        await _waiting(watcher, "= 'advisory'", 1)
        for driver in cut:
            driver._transport.abort()
        await _waiting(watcher, "<> 'advisory'", 1)
        await gate.execute(f"SELECT pg_advisory_unlock({GATE})")

    runner = Runner(store, MemoryHandle(MemoryOwners()), SteppingClock(), {"lines": LinesDecoder()}, Told())
    cutting = asyncio.create_task(meanwhile())
    run = await runner.run(SourceJob(source, MAPPING))
    await cutting
    assert run is not None
    assert (run.status, run.counters.fetched, run.counters.inserted) == (RunStatus.SUCCEEDED, 15, 15)
    assert source.asked == [("", 0), ("", 1), ("", 2)]
    assert len(await table(store, "scripted")) == 15
    async with store.begin(write=False) as work:
        checkpoint = await work.checkpoints.get("scripted", "")
    assert checkpoint is not None
    assert checkpoint.version == 3
    await gate.close()
    await watcher.close()
    await store.close()
