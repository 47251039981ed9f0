"""Runs in the background: begun durably and at once, one per source, and ended whatever happens."""

from __future__ import annotations

import asyncio

import pytest
from processes import Gate, World, job

from kasparro_core.errors import ConflictError
from kasparro_core.model import EventType, GivenAnswer, RunStatus, Trigger
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.desk import Started


def _answer(world: World, key: str = "k") -> GivenAnswer:
    return GivenAnswer(key, "hash", 202, None, "{}", world.clock.now())


async def test_a_run_is_in_the_ledger_before_start_returns() -> None:
    """Run row and lease are committed; the run itself goes on in the background until it is done."""
    world = World()
    process, gate = world.process(), Gate()
    started = await process.desk.start([job(gate=gate)], Trigger.API)
    assert [run.status for run in await world.runs()] == [RunStatus.RUNNING]
    assert started.runs[0].run_id == (await world.runs())[0].run_id
    gate.opened.set()
    await process.idle()
    assert [(run.status, run.counters.inserted) for run in await world.runs()] == [(RunStatus.SUCCEEDED, 2)]


async def test_a_source_that_runs_is_busy_and_the_others_start() -> None:
    """The answer names the run that is under way; a second run of that source is never begun."""
    world = World()
    process, gate = world.process(), Gate()
    first = await process.desk.start([job("a", gate)], Trigger.API)
    second = await world.process().desk.start([job("b"), job("a")], Trigger.API)
    assert [run.source for run in second.runs] == ["b"]
    assert second.busy == {"a": first.runs[0].run_id}
    third = await process.desk.start([job("a")], Trigger.API)
    assert third == Started(busy={"a": first.runs[0].run_id})
    gate.opened.set()
    await process.idle()
    assert len(await world.runs()) == 2


async def test_many_start_at_once_and_each_source_runs_once() -> None:
    """Ten callers in three processes ask for the same three sources at the same time."""
    world = World()
    processes = [world.process() for _ in range(3)]
    gates = {name: Gate() for name in "abc"}
    jobs = [job(name, gate) for name, gate in gates.items()]
    answers = await asyncio.gather(*(processes[n % 3].desk.start(jobs, Trigger.API) for n in range(10)))
    assert sorted(run.source for answer in answers for run in answer.runs) == ["a", "b", "c"]
    for gate in gates.values():
        gate.opened.set()
    for process in processes:
        await process.idle()
    assert {run.status for run in await world.runs()} == {RunStatus.SUCCEEDED}


async def test_an_answer_is_kept_with_the_runs_it_tells_of() -> None:
    """The second start under the same key begins nothing and says so."""
    world = World()
    process = world.process()
    await process.desk.start([job("a")], Trigger.API, answer=lambda _: _answer(world))
    await process.idle()
    with pytest.raises(ConflictError) as refused:
        await process.desk.start([job("a")], Trigger.API, answer=lambda _: _answer(world))
    assert refused.value.code == "answered"
    assert len(await world.runs()) == 1


async def test_what_is_written_beside_goes_with_the_run_or_not_at_all() -> None:
    """A conflict of the caller's own write leaves no run, no lease and no event."""
    world = World()
    process = world.process()

    async def lose(_work: UnitOfWork, _started: Started) -> None:
        raise ConflictError("somebody was faster")

    with pytest.raises(ConflictError, match="faster"):
        await process.desk.start([job("a")], Trigger.SCHEDULE, beside=lose)
    async with world.store.begin(write=False) as work:
        assert await work.leases.get("a", "") is None
        assert await work.events.last_id() == 0
    assert await world.runs() == []
    assert process.desk.running == 0


async def test_a_caller_that_goes_away_takes_nothing_back() -> None:
    """A cancelled start has begun its run all the same, and the run is carried out."""
    world = World()
    process = world.process()
    call = asyncio.create_task(process.desk.start([job("a")], Trigger.API))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await process.idle()
    assert [run.status for run in await world.runs()] == [RunStatus.SUCCEEDED]


async def test_stop_interrupts_what_runs_and_begins_nothing_more() -> None:
    """Each run ends as interrupted, its source is free again, and a further start is refused."""
    world = World()
    process, gate = world.process(), Gate()
    await process.desk.start([job("a", gate), job("b", gate)], Trigger.API)
    await gate.reached.wait()
    await process.desk.stop(5.0)
    assert [run.status for run in await world.runs()] == [RunStatus.INTERRUPTED] * 2
    with pytest.raises(ConflictError) as refused:
        await process.desk.start([job("c")], Trigger.API)
    assert refused.value.code == "stopping"
    successor = world.process()
    assert (await successor.desk.start([job("a")], Trigger.API)).runs
    await successor.idle()


async def test_a_stop_at_any_step_of_a_start_leaves_no_run_running() -> None:
    """Whether the run is not begun yet, committed but not carried out, or at work: refused, or ended as interrupted."""
    ends = set()
    for steps in range(40):
        world = World()
        process = world.process()
        call = asyncio.create_task(process.desk.start([job("a", Gate())], Trigger.API))
        for _ in range(steps):
            await asyncio.sleep(0)
        await process.desk.stop(5.0)
        refused = (await asyncio.gather(call, return_exceptions=True))[0]
        await process.desk.stop(5.0)
        assert process.desk.running == 0
        ends.add((isinstance(refused, ConflictError), *(run.status for run in await world.runs())))
    assert ends == {(True,), (False, RunStatus.INTERRUPTED)}


async def test_no_more_than_at_once_read_while_all_hold_their_source() -> None:
    """With one place the second run is in the ledger but reads nothing before the first has ended."""
    world = World()
    process, gate = world.process(at_once=1), Gate()
    second = job("b")
    await process.desk.start([job("a", gate)], Trigger.API)
    await gate.reached.wait()
    await process.desk.start([second], Trigger.API)
    for _ in range(20):
        await asyncio.sleep(0)
    assert second.source.asked == []
    assert [run.status for run in await world.runs()] == [RunStatus.RUNNING] * 2
    gate.opened.set()
    await process.idle()
    assert [run.status for run in await world.runs()] == [RunStatus.SUCCEEDED] * 2


async def test_a_run_tells_its_beginning_its_batches_and_its_end() -> None:
    """The outbox has the whole story in order, and its numbers add up to the run's."""
    world = World()
    process = world.process()
    await process.desk.start([job("a")], Trigger.API)
    await process.idle()
    async with world.store.begin(write=False) as work:
        events = await work.events.after(0)
    kinds = [event.type for event in events]
    assert kinds[0] is EventType.RUN_STARTED
    assert kinds[-1] is EventType.RUN_FINISHED
    assert set(kinds[1:-1]) == {EventType.BATCH_COMMITTED}
    assert sum(event.data["inserted"] for event in events[1:-1]) == events[-1].data["inserted"] == 2
    assert {event.run_id for event in events} == {(await world.runs())[0].run_id}
