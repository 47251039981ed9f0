"""Fewer connections than callers: a pool of two under fifty, and a server that has none left.

Nothing here is random; a storm of it would show nothing more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from crash_storm import NEEDS_POSIX
from ledger import faults
from postgres import OwnServer, own_server
from scripted import LinesDecoder, ScriptedSource, Told
from storm_market import market
from storm_plan import tell

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.sql import SqlStore, postgres, process_handle
from kasparro_core.errors import TransientStorageError
from kasparro_core.model import Run, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

pytestmark = [NEEDS_POSIX, pytest.mark.slow]

CALLERS = 50
NONE_LEFT = "has no connection left. Try again, or raise its connection limit."


@pytest.fixture
def two_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for writers and two for readers; SQLite has one writer and eight readers anyway."""
    monkeypatch.setattr(postgres, "_POOL", {"pool_size": 2, "max_overflow": 0})


def _job(number: int) -> SourceJob:
    """A source of four pages."""
    name = f"source-{number}"
    pages = [[{"id": f"{page}-{row}", "price": "1.5"} for row in range(5)] for page in range(4)]
    return SourceJob(ScriptedSource({"": pages}, name=name), RecordMapping(source=name, kind="quote", key=["id"]))


KEYS = {f"{page}-{row}" for page in range(4) for row in range(5)}


@pytest.mark.usefixtures("two_connections")
async def test_fifty_callers_share_two_connections(database_url: str, request: pytest.FixtureRequest) -> None:
    """25 runs and 25 readers at the same time: all of them come to their end, and everything is there once."""
    store, handle = SqlStore(database_url), process_handle(database_url)
    runner = Runner(store, handle, SystemClock(), {"lines": LinesDecoder()}, Told())
    over = asyncio.Event()

    async def read() -> int:
        looks = 0
        while not over.is_set():
            async with store.begin(write=False) as work:
                await work.records.count()
            looks += 1
            await asyncio.sleep(0.05)  # a pace, so that the runs get some of the processor
        return looks

    async def run_all() -> list[Run | None]:
        try:
            return list(await asyncio.gather(*(runner.run(_job(number)) for number in range(CALLERS // 2))))
        finally:
            over.set()

    runs, *looks = await asyncio.gather(run_all(), *(read() for _ in range(CALLERS // 2)))
    await handle.close()
    await store.close()
    tell(request, callers=CALLERS, runs=len(runs), looks=sum(looks))
    assert [run and run.status for run in runs] == [RunStatus.SUCCEEDED] * (CALLERS // 2)
    assert min(looks) > 0
    found = await asyncio.to_thread(lambda: [faults(database_url, f"source-{n}", KEYS) for n in range(CALLERS // 2)])
    assert found == [[]] * (CALLERS // 2)


@pytest.mark.postgres
@pytest.mark.usefixtures("two_connections")
async def test_callers_that_find_no_connection_are_told_so_and_lose_nothing(
    postgres_url: str, request: pytest.FixtureRequest
) -> None:
    """Two writers sit on the two connections: 48 others give up, each with the transient error; once the two are done,
    all of them come through."""
    store = SqlStore(postgres_url, lock_wait=0.3)

    async def write() -> None:
        async with store.begin() as work:
            await work.records.count()
            await work.commit()

    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(store.begin())
        refused = await _ends([write() for _ in range(CALLERS - 2)])
    served = await _ends([write() for _ in range(CALLERS - 2)])
    await store.close()
    tell(request, refused=len(refused), afterwards_refused=len(served))
    assert [NONE_LEFT in text for text in refused] == [True] * (CALLERS - 2)
    assert served == []


async def _ends(calls: list[Awaitable[None]]) -> list[str]:
    """What those said that failed with the transient error; any other error is raised."""
    ends = await asyncio.gather(*calls, return_exceptions=True)
    failed = [end for end in ends if end is not None]
    assert all(isinstance(end, TransientStorageError) for end in failed), failed
    return [str(end) for end in failed]


@pytest.fixture(scope="module")
def small_server() -> Iterator[OwnServer]:
    """A PostgreSQL that has ten connections in all."""
    with own_server("max_connections=10", "superuser_reserved_connections=0") as running:
        yield running


async def _take_all(url: str) -> list[asyncpg.Connection]:
    """Connections until the server has none left."""
    taken = []
    while True:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            return taken


@pytest.mark.postgres
async def test_a_server_without_connections_is_named_and_the_next_run_comes_through(
    small_server: OwnServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """max_connections are taken: a run ends at once with one clear sentence; as soon as some are free the next one
    exits 0. A run that has its connections already does not notice."""
    url = small_server.database_url(await asyncio.to_thread(small_server.create))
    with market(tmp_path / "home", url) as place:
        taken = await _take_all(url)
        refused = await asyncio.to_thread(place.run)
        for connection in taken:
            await connection.close()
        assert refused.code == 1, refused
        assert re.search(rf"The database postgresql://\S+ {re.escape(NONE_LEFT)}", " ".join(refused.err.split())), (
            refused.err
        )
        loop, late = asyncio.get_running_loop(), []

        def take_the_rest(number: int) -> None:
            if number == 3:
                late.extend(asyncio.run_coroutine_threadsafe(_take_all(url), loop).result(30))

        place.upstream.hook = take_the_rest
        end = await asyncio.to_thread(place.run)
        for connection in late:
            await connection.close()
        tell(request, connections_taken=len(taken), taken_in_mid_run=len(late), exits=[refused.code, end.code])
        assert late
        assert end.code == 0, end
        assert await asyncio.to_thread(place.faults) == []
