"""Every slot of a schedule becomes exactly one row, however many processes look after it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from processes import Every, Gate, World, job

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import Slot, SlotState, Trigger
from kasparro_core.services.timetable import KEPT_MISSED


async def _slots(world: World, source: str = "scripted", limit: int = 5000) -> list[Slot]:
    """Oldest first."""
    async with world.store.begin(write=False) as work:
        return list(reversed(await work.schedules.slots(source, limit=limit)))


async def test_a_new_schedule_is_due_at_once_and_then_at_its_slots() -> None:
    """The first tick runs the source, the next one only when the interval is over."""
    world = World()
    process = world.process()
    timetable = process.timetable({"scripted": Every(60)}, job())
    await timetable.settle()
    assert await timetable.tick() == 1
    await process.idle()
    assert await timetable.tick() == 0
    await world.pass_time(60)
    assert await timetable.tick() == 1
    await process.idle()
    slots = await _slots(world)
    assert slots[1].slot_at - slots[0].slot_at == timedelta(seconds=60)
    assert [slot.run_id for slot in slots] == [run.run_id for run in await world.runs()]
    assert {run.trigger for run in await world.runs()} == {Trigger.SCHEDULE}


async def test_of_many_processes_one_takes_each_slot() -> None:
    """Five processes tick at the same time, again and again: one row and one run for each slot."""
    world = World()
    processes = [world.process() for _ in range(5)]
    tables = [process.timetable({"scripted": Every(10)}, job()) for process in processes]
    await asyncio.gather(*(table.settle() for table in tables))
    for _ in range(7):
        taken = await asyncio.gather(*(table.tick() for table in tables))
        assert sum(taken) == 1
        for process in processes:
            await process.idle()
        await world.pass_time(10)
    slots = await _slots(world)
    assert len(slots) == len(await world.runs()) == 7
    steps = {later.slot_at - earlier.slot_at for earlier, later in itertools.pairwise(slots)}
    assert steps == {timedelta(seconds=10)}


async def test_a_slot_is_skipped_while_its_predecessor_runs() -> None:
    """The row of a skipped slot names the run that was in the way; the schedule goes on."""
    world = World()
    process, gate = world.process(), Gate()
    slow = job(gate=gate)
    timetable = process.timetable({"scripted": Every(10)}, slow)
    await timetable.settle()
    await timetable.tick()
    await gate.reached.wait()
    await world.pass_time(10)
    await timetable.tick()
    gate.opened.set()
    await process.idle()
    await world.pass_time(10)
    await timetable.tick()
    await process.idle()
    slots = await _slots(world)
    assert [slot.state for slot in slots] == [SlotState.RAN, SlotState.SKIPPED, SlotState.RAN]
    assert slots[1].run_id == slots[0].run_id
    assert len(await world.runs()) == 2


async def test_slots_missed_in_sleep_do_not_pile_up() -> None:
    """After an hour without a tick one run makes good for all, and each missed slot has its row."""
    world = World()
    process = world.process()
    timetable = process.timetable({"scripted": Every(600)}, job())
    await timetable.settle()
    await timetable.tick()
    await process.idle()
    await world.pass_time(3605)
    assert await timetable.tick() == 1
    await process.idle()
    assert await timetable.tick() == 0
    slots = await _slots(world)
    states = [slot.state for slot in slots]
    assert states == [SlotState.RAN, *[SlotState.MISSED] * 5, SlotState.RAN]
    assert len(await world.runs()) == 2


async def test_a_very_long_sleep_is_folded() -> None:
    """More missed slots than rows are kept are counted in the oldest row: every slot is accounted for."""
    world = World()
    process = world.process()
    timetable = process.timetable({"scripted": Every(1)}, job())
    await timetable.settle()
    await timetable.tick()
    await process.idle()
    await world.pass_time(3000)
    await timetable.tick()
    await process.idle()
    slots = await _slots(world)
    assert len(slots) == KEPT_MISSED + 2
    elapsed = (slots[-1].slot_at - slots[0].slot_at).total_seconds()
    assert len(slots) + sum(slot.folded for slot in slots) == elapsed + 1


async def test_a_slot_is_not_taken_before_its_jitter_has_passed() -> None:
    """next_at decides, and the slot keeps its place on the grid."""
    world = World()
    process = world.process()
    timetable = process.timetable({"scripted": Every(60, jitter=5)}, job())
    await timetable.settle()
    await timetable.tick()
    await process.idle()
    await world.pass_time(60)
    assert await timetable.tick() == 0
    await world.pass_time(5)
    assert await timetable.tick() == 1
    await process.idle()
    first, second = await _slots(world)
    assert second.slot_at - first.slot_at == timedelta(seconds=60)


async def test_a_paused_schedule_rests_and_goes_on() -> None:
    """No slot is taken while it is paused; afterwards one run makes good for those that were missed."""
    world = World()
    process = world.process()
    timetable = process.timetable({"scripted": Every(10)}, job())
    await timetable.settle()
    async with world.store.begin() as work:
        assert await work.schedules.pause("scripted", world.clock.now())
        await work.commit()
    assert await timetable.tick() == 0
    async with world.store.begin() as work:
        await work.schedules.pause("scripted", None)
        await work.commit()
    assert await timetable.tick() == 1
    await process.idle()


async def test_a_changed_schedule_goes_on_from_now_and_a_removed_one_stops() -> None:
    """A restart with another interval moves the next slot; with `manual` there is none."""
    world = World()
    process = world.process()
    await process.timetable({"scripted": Every(3600)}, job()).settle()
    changed = process.timetable({"scripted": Every(10)}, job())
    await changed.settle()
    assert await changed.tick() == 0
    await world.pass_time(10)
    assert await changed.tick() == 1
    await process.idle()
    manual = process.timetable({}, job())
    await manual.settle()
    await world.pass_time(3600)
    assert await changed.tick() == await manual.tick() == 0


@dataclass(frozen=True)
class OnTheHour:
    """Slots at full hours of the clock."""

    spec: str

    def following(self, after: datetime) -> tuple[datetime, datetime]:
        slot_at = after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return slot_at, slot_at


async def test_a_clock_that_was_put_back_stops_no_changed_schedule() -> None:
    """The slots that are noted already are not given again: they could never be taken, and so none after them."""
    now = [datetime(2026, 11, 21, 11, 30, tzinfo=UTC)]
    world = World()
    world.store = MemoryStore(lambda: now[0])
    process = world.process()
    before = process.timetable({"scripted": OnTheHour("hourly")}, job())
    await before.settle()
    for _ in range(3):
        assert await before.tick() == 1
        await process.idle()
        now[0] += timedelta(hours=1)
    now[0] -= timedelta(hours=3)
    after = process.timetable({"scripted": OnTheHour("hourly, from Berlin")}, job())
    await after.settle()
    now[0] += timedelta(hours=3)
    assert await after.tick() == 1
    await process.idle()
    slots = await _slots(world)
    assert len(slots) == len(await world.runs()) == 4
