"""Statements that are put together once for a database."""

from __future__ import annotations

import gc
import weakref

from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.repositories import leases
from kasparro_adapters.sql.sqlite import SqliteDatabase
from kasparro_adapters.sql.url import parse_url
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")


def test_a_statement_is_made_once_for_each_database() -> None:
    """The same object again, and another one for another database."""
    one, two = (SqliteDatabase(parse_url(f"sqlite:///{name}.db")) for name in "ab")
    assert leases._renewal(one) is leases._renewal(one)
    assert leases._renewal(one) is not leases._renewal(two)


async def test_a_database_that_was_used_and_closed_is_forgotten(sqlite_url: str) -> None:
    """What runs with every commit keeps no database alive: a program may open any number of them."""
    store = SqlStore(sqlite_url)
    rows = [{"id": "1", "price": "1"}, {"price": "no key"}]
    runner = Runner(store, MemoryHandle(MemoryOwners()), SteppingClock(), {"lines": LinesDecoder()}, Told())
    await runner.run(SourceJob(ScriptedSource({"": [rows]}), MAPPING))
    database = weakref.ref(store._database)
    await store.close()
    del store, runner
    gc.collect()
    assert database() is None
