"""A dead process's run is ended once and resumed once; a living one's is left alone."""

from __future__ import annotations

import asyncio

from processes import Gate, World, job

from kasparro_core.model import RunStatus, Trigger


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
