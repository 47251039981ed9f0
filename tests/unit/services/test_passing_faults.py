"""A database that falters once: wherever that is, a run goes on as if nothing had been."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told, batch_of

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import TransientStorageError
from kasparro_core.model import FetchFacts, RunQuery, RunStatus, Trigger, pack
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.position import SlicePosition
from kasparro_core.services.run import Runner
from kasparro_core.services.steps import BRIEFLY, retried
from kasparro_core.testing.build import table

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")
PAGES = [[{"id": f"{page}-{n}", "price": str(n)} for n in range(3)] for page in range(3)]
KEYS = {row["id"] for page in PAGES for row in page}


class Faltering(MemoryStore):
    """Fails once: its unit of work number `at` cannot begin, cannot commit, or its commit goes through unheard."""

    def __init__(self, at: int = 0, how: str = "begin") -> None:
        super().__init__()
        self.at, self.how, self.units, self.failed = at, how, 0, 0
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[UnitOfWork]:
        self.units += 1
        hit = self.units == self.at
        if hit and self.how == "begin":
            self._fail()
        self.asked.set()
        await self.go_on.wait()
        async with super().begin(write=write) as work:
            yield _Faltering(work, self) if hit and write else work  # type: ignore[misc]

    def _fail(self) -> None:
        self.failed += 1
        raise TransientStorageError("The connection was lost.")


class _Faltering:
    def __init__(self, work: UnitOfWork, store: Faltering) -> None:
        self._work, self._store = work, store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    async def commit(self) -> None:
        if self._store.how == "answer":
            await self._work.commit()
        self._store._fail()


class World:
    """One process on a store, and a payload of which an earlier run left the second half."""

    def __init__(self, store: Faltering) -> None:
        self.store, self.clock = store, SteppingClock()
        self.runner = Runner(store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, Told())

    async def run(self) -> RunStatus:
        job = SourceJob(ScriptedSource({"": list(PAGES)}), MAPPING)
        run = await self.runner.run(job)
        assert run is not None
        return run.status

    async def left_behind(self) -> None:
        at, (one, two, three) = self.clock.now(), PAGES[0]
        async with MemoryStore.begin(self.store) as work:
            raw = batch_of([one, two, three], {}, at).raw
            assert raw is not None
            raw_id = await work.raw.put("scripted", "", pack(raw, 3))
            cursor = SlicePosition(raw_id, 0, {"page": 1}, FetchFacts(at), ()).to_cursor()
            await work.checkpoints.save("scripted", "", cursor, expected_version=0, run_id=None, at=at)
            await work.commit()


async def _how_many() -> int:
    world = World(Faltering())
    await world.left_behind()
    await world.run()
    return world.store.units


@pytest.mark.parametrize("how", ["begin", "commit", "answer"])
async def test_a_run_survives_one_fault_in_any_of_its_units_of_work(how: str) -> None:
    """From the first look to its end, reading or writing: everything is there once, and only where the answer to its
    beginning was lost does a second run take the place of the first."""
    units, fired = await _how_many(), 0
    assert units > 8
    for at in range(1, units + 1):
        world = World(Faltering(at, how))
        await world.left_behind()
        assert await world.run() is RunStatus.SUCCEEDED, (at, how)
        assert set(await table(world.store, "scripted")) == KEYS
        async with world.store.begin(write=False) as work:
            runs = await work.runs.list(RunQuery())
        assert sum(run.counters.inserted for run in runs) == sum(run.counters.fetched for run in runs) == len(KEYS)
        assert [run.status for run in runs] in (
            [[RunStatus.SUCCEEDED]]
            if how != "answer"
            else [[RunStatus.SUCCEEDED], [RunStatus.SUCCEEDED, "interrupted"]]
        )
        fired += world.store.failed
    assert fired == units if how == "begin" else 4 < fired < units


@pytest.mark.parametrize("how", ["begin", "commit", "answer"])
async def test_a_beginning_that_is_cancelled_gives_its_source_back_even_by_a_second_attempt(how: str) -> None:
    """The run that was begun after all is ended, though its end meets a fault at first; the next one may begin."""
    world = World(Faltering(3, how))  # the look, the beginning, and the end
    world.store.go_on.clear()
    claiming = asyncio.create_task(world.runner.claims.claim("scripted", Trigger.CLI, wait=False))
    await world.store.asked.wait()
    world.store.go_on.set()
    world.store.asked.clear()
    while not world.store.asked.is_set():
        await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    assert world.store.failed == 1
    assert await world.run() is RunStatus.SUCCEEDED
    async with world.store.begin(write=False) as work:
        first, last = reversed(await work.runs.list(RunQuery()))
    assert (first.status, first.error_code, last.resumes) == (RunStatus.INTERRUPTED, "cancelled", None)


async def test_a_source_that_cannot_be_given_back_blocks_nobody() -> None:
    """The database is away for good when a cancelled beginning wants to end its run: the next run takes it over."""

    class Away(Faltering):
        @asynccontextmanager
        async def begin(self, *, write: bool = True) -> AsyncIterator[UnitOfWork]:
            if self.at and self.units >= 2:
                self._fail()
            async with super().begin(write=write) as work:
                yield work

    world = World(Away(99))
    claiming = asyncio.create_task(world.runner.claims.claim("scripted", Trigger.CLI, wait=False))
    while world.store.units < 2:
        await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(TransientStorageError):
        await claiming
    assert world.store.failed == 5
    world.store.at = 0
    claim = await world.runner.claims.claim("scripted", Trigger.CLI, wait=False)
    assert claim is not None
    assert claim.run.resumes == 1


async def test_a_database_that_waited_itself_is_not_asked_five_times_for_a_beginning() -> None:
    """Where an attempt took longer than the time that a beginning has, the second one is not made."""
    clock, attempts = SteppingClock(), []

    async def locked() -> None:
        attempts.append(1)
        await clock.sleep(BRIEFLY)
        raise TransientStorageError("locked")

    with pytest.raises(TransientStorageError):
        await retried(clock, locked, within=BRIEFLY)
    assert len(attempts) == 1
    with pytest.raises(TransientStorageError):
        await retried(clock, locked)
    assert len(attempts) == 6
