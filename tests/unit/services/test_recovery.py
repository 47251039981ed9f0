"""A dead process's run is ended once and resumed once; a living one's is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from processes import Gate, Process, World, job

from kasparro_core.errors import StorageError
from kasparro_core.model import Lease, RunStatus, Trigger
from kasparro_core.ports import Store, UnitOfWork


async def test_a_dead_run_is_resumed_by_one_of_many() -> None:
    """Four processes look at once: one new run, which names the dead one, and nothing stays running."""
    world = World()
    dead, gate = world.process(), Gate()
    await dead.desk.start([job("a", gate)], Trigger.SCHEDULE)
    await gate.reached.wait()
    await dead.die()
    others = [world.process() for _ in range(4)]
    looks = [process.recovery(job("a")) for process in others]
    assert sum(await asyncio.gather(*(look.look() for look in looks))) == 1
    for process in others:
        await process.idle()
    assert sum(await asyncio.gather(*(look.look() for look in looks))) == 0
    first, second = await world.runs()
    assert (first.status, first.error_code) == (RunStatus.INTERRUPTED, "interrupted")
    assert (second.status, second.trigger, second.resumes) == (RunStatus.SUCCEEDED, Trigger.RECOVERY, first.run_id)
    gate.opened.set()
    await dead.desk.stop(5.0)
    assert [run.status for run in await world.runs()] == [RunStatus.INTERRUPTED, RunStatus.SUCCEEDED]


async def test_a_living_run_is_left_alone() -> None:
    """However long it waits on the network."""
    world = World()
    process, gate = world.process(), Gate()
    await process.desk.start([job("a", gate)], Trigger.SCHEDULE)
    await gate.reached.wait()
    assert await world.process().recovery(job("a")).look() == 0
    gate.opened.set()
    await process.idle()
    assert [run.status for run in await world.runs()] == [RunStatus.SUCCEEDED]


async def test_a_dead_run_of_an_unknown_source_is_ended_and_not_resumed() -> None:
    """A source that this process does not have, and a replay, are marked interrupted; their source is free again."""
    world = World()
    dead, gate = world.process(), Gate()
    await dead.desk.start([job("a", gate)], Trigger.API)
    await dead.desk.start([job("b", gate)], Trigger.REPLAY)
    await gate.reached.wait()
    await dead.die()
    process = world.process()
    assert await process.recovery(job("b")).look() == 2
    assert await process.recovery(job("b")).look() == 0
    assert [run.status for run in await world.runs()] == [RunStatus.INTERRUPTED] * 2
    assert process.desk.running == 0
    gate.opened.set()
    await dead.desk.stop(5.0)


class _Away:
    """A database that fails at every write from some moment on; with `late`, after having committed it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.away = self.late = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def begin(self, *, write: bool = True) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._begin() if write else self.store.begin(write=False)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[UnitOfWork]:
        if self.away and not self.late:
            raise StorageError("the connection was lost")
        async with self.store.begin() as work:
            yield work
        if self.away:
            raise StorageError("the connection was lost")


async def test_a_run_whose_end_could_not_be_noted_blocks_nothing() -> None:
    """Its own process lives on and takes it over as soon as the database is back, long before the lease expires."""
    world = World()
    world.store = store = _Away(world.store)  # type: ignore[assignment]
    process, gate = world.process(), Gate()
    await process.desk.start([job("a", gate)], Trigger.SCHEDULE)
    await gate.reached.wait()
    store.away = True
    gate.opened.set()
    await process.idle()
    store.away = False
    assert await process.recovery(job("a")).look() == 1
    await process.idle()
    first, second = await world.runs()
    assert (first.status, second.status, second.resumes) == (RunStatus.INTERRUPTED, RunStatus.SUCCEEDED, first.run_id)


async def test_a_run_that_was_begun_without_its_process_knowing_blocks_nothing() -> None:
    """The commit happened and its answer was lost: nobody carries that run out, so the next start takes its place."""
    world = World()
    world.store = store = _Away(world.store)  # type: ignore[assignment]
    process = world.process()
    store.away = store.late = True
    with pytest.raises(StorageError):
        await process.desk.start([job("a")], Trigger.API)
    store.away = False
    assert len((await process.desk.start([job("a")], Trigger.API)).runs) == 1
    await process.idle()
    assert [run.status for run in await world.runs()] == [RunStatus.INTERRUPTED, RunStatus.SUCCEEDED]


async def test_a_run_whose_end_the_database_forgot_blocks_nothing() -> None:
    """A server that does not wait for its disk may forget the last commits in a crash."""
    world = World()
    process = world.process()
    before = await _lease_of_a_finished_run(world, process)
    async with world.store.begin() as work:
        forgotten = await work.leases.take("a", "", owner=before.owner, ttl=60.0, seen=await work.leases.get("a", ""))
        await work.leases.attach(forgotten, 1)
        await work.commit()
    assert await world.process().recovery(job("a")).look() == 0
    assert len((await process.desk.start([job("a")], Trigger.SCHEDULE)).runs) == 1
    await process.idle()


async def _lease_of_a_finished_run(world: World, process: Process) -> Lease:
    gate = Gate()
    await process.desk.start([job("a", gate)], Trigger.SCHEDULE)
    await gate.reached.wait()
    async with world.store.begin(write=False) as work:
        lease = await work.leases.get("a", "")
    assert lease is not None
    gate.opened.set()
    await process.idle()
    return lease
