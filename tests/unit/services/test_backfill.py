"""Backfills: windows as partitions of their own, in rounds, beside the live source."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from processes import Every, Gate, World, job
from scripted import EPOCH, LinesDecoder, Page, Told
from simulated_process import WorldClock
from windowed import Bench, Days, day_pages, days, job_of, virtually

from kasparro_adapters.memory import MemoryHandle
from kasparro_core.errors import ConfigurationError, PermanentSourceError
from kasparro_core.model import RunStatus, SlotState, Trigger
from kasparro_core.model.window import Window
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.policy.windows import Step
from kasparro_core.services.backfill import PAUSE, WindowState, planned
from kasparro_core.services.backfill_round import MOST_FAILURES, ROUND_SECONDS
from kasparro_core.services.desk import Desk
from kasparro_core.services.replay import Replayer
from kasparro_core.services.timetable import Timetable

UNDATED = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")


def failing(*bad: int) -> Any:
    """Pages of days of which these fail at their second page."""

    def pages(window: Window) -> list[Page]:
        first, second = day_pages(window)
        broken = (window.start - EPOCH).days in bad
        return [first, PermanentSourceError("no such day", code="http_404") if broken else second]

    return pages


async def test_each_window_is_a_partition_of_one_run() -> None:
    """Every page of every window is asked for once; the run says what made it begin; each window has a position."""
    bench, source = Bench(), Days()
    done = await bench.backfill(source, 3)
    assert source.asked == [(window.partition, page) for window in days(3) for page in (0, 1)]
    assert (done.status, done.windows, done.before, len(done.completed), done.left) == ("succeeded", 3, 0, 3, 0)
    assert [run.trigger for run in await bench.runs()] == [Trigger.BACKFILL]
    assert set(await bench.checkpoints()) == {window.partition for window in days(3)}
    assert len(await bench.records()) == 6


async def test_a_complete_window_is_not_asked_for_again() -> None:
    """The same command asks for nothing, a longer one for what is new, and `full` for everything."""
    bench, source = Bench(), Days()
    await bench.backfill(source, 3)
    source.asked.clear()
    again = await bench.backfill(source, 3)
    assert (source.asked, again.runs, again.before, again.status) == ([], [], 3, "unchanged")
    longer = await bench.backfill(source, 4)
    assert {partition for partition, _ in source.asked} == {days(4)[3].partition}
    assert (longer.before, len(longer.completed)) == (3, 1)
    source.asked.clear()
    full = await bench.backfill(source, 4, full=True)
    assert len(source.asked) == 8
    assert (full.status, full.counters.unchanged) == ("unchanged", 8)


async def test_other_bounds_are_other_windows() -> None:
    """Cut otherwise, the span is read anew, and brings nothing new."""
    bench, source = Bench(), Days()
    await bench.backfill(source, 2)
    _, backfiller = bench.process()
    whole = Window(EPOCH, EPOCH + timedelta(days=2))
    source.pages = lambda window: [page for day in days(2) for page in day_pages(day)]
    done = await backfiller.backfill(job_of(source), source, [whole])
    assert (done.before, done.counters.unchanged, done.status) == (0, 4, "unchanged")


async def test_a_window_that_fails_leaves_the_others() -> None:
    """It is told with its error, the run is degraded, and the next backfill asks for it alone, from its second page."""
    bench, source = Bench(), Days(pages=failing(1))
    done = await bench.backfill(source, 4)
    assert (done.status, len(done.completed), done.left) == ("degraded", 3, 1)
    assert {window: error.code for window, error in done.failed.items()} == {days(4)[1]: "http_404"}
    assert await bench.states() == {days(4)[1].partition: "failed"}
    source.asked.clear()
    source.pages = day_pages
    mended = await bench.backfill(source, 4)
    assert source.asked == [(days(4)[1].partition, 1)]
    assert (mended.status, mended.before, mended.left) == ("succeeded", 3, 0)
    assert await bench.states() == {days(4)[1].partition: "ok"}
    assert len(await bench.records()) == 8


async def test_a_complete_window_that_fails_when_it_is_read_again_is_not_complete() -> None:
    """With `full` its first page fails: its position stays, and yet the next backfill asks for it, and for it alone."""
    bench, source = Bench(), Days()
    await bench.backfill(source, 3)
    source.pages = lambda window: (
        [PermanentSourceError("no such day", code="http_404")] if window == days(3)[1] else day_pages(window)
    )
    assert (await bench.backfill(source, 3, full=True)).left == 1
    _, backfiller = bench.process()
    states = await backfiller.states("scripted", source, days(3))
    assert list(states.values()) == [WindowState.COMPLETE, WindowState.BEGUN, WindowState.COMPLETE]
    source.pages = day_pages
    source.asked.clear()
    mended = await bench.backfill(source, 3)
    assert {partition for partition, _ in source.asked} == {days(3)[1].partition}
    assert (mended.before, mended.left, len(source.asked)) == (2, 0, 2)


async def test_where_everything_fails_not_everything_is_asked_for() -> None:
    """After ten failures in a row the rest is given up: the backfill failed, and says how much it did not ask for."""
    bench, source = Bench(), Days(pages=failing(*range(100)))
    done = await bench.backfill(source, 100)
    assert (done.stopped, done.status, len(done.failed)) == (True, "failed", MOST_FAILURES)
    assert len({partition for partition, _ in source.asked}) == MOST_FAILURES
    assert done.left == 100
    (run,) = await bench.runs()
    assert (run.status, run.error_code) == (RunStatus.FAILED, "http_404")


async def test_what_is_given_up_stays_so() -> None:
    """Side by side, a window that comes through after the tenth failure in a row does not set the rest going again."""
    gone = {window: [PermanentSourceError("no such day", code="http_404")] for window in days(10)}  # at once
    bench, source = Bench(), Days(pages=lambda window: gone.get(window) or day_pages(window))
    done = await bench.backfill(source, 60, parallel=4)
    assert (done.stopped, done.status) == (True, "failed")
    assert len({partition for partition, _ in source.asked}) <= MOST_FAILURES + 3


async def test_failures_between_successes_do_not_stop_it() -> None:
    """Every second window fails, forty of them: all others come in."""
    bench, source = Bench(), Days(pages=failing(*range(0, 80, 2)))
    done = await bench.backfill(source, 80)
    assert (done.stopped, len(done.completed), len(done.failed)) == (False, 40, 40)


async def test_the_live_position_is_left_as_it_is() -> None:
    """Checkpoint, validators and state of the live source are the same before and after, failed as it was."""
    bench, source = Bench(), Days()
    runner, _ = bench.process()
    await runner.run(job_of(source))
    source.live = [PermanentSourceError("down", code="http_500")]
    await runner.run(job_of(source), full=True)
    before = (await bench.checkpoints())[""], await bench.states()
    await bench.backfill(source, 3)
    assert ((await bench.checkpoints())[""], await bench.states()) == before == (before[0], {"": "failed"})


async def test_windows_are_read_side_by_side() -> None:
    """With `parallel` so many at once and no more, and each row once."""
    bench, source = Bench(), Days()
    done = await bench.backfill(source, 12, parallel=4)
    assert (source.most, len(done.completed), len(await bench.records())) == (4, 12, 24)


async def test_broken_off_at_any_turn_the_next_one_goes_on() -> None:
    """Cancelled turn by turn through a whole backfill: the next asks for no complete window, and all is there."""
    for turns in range(0, 10_000, 3):
        bench, source = Bench(), Days()
        task = asyncio.ensure_future(bench.backfill(source, 3))
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        complete = {name for name, each in (await bench.checkpoints()).items() if each.cursor.get("done")}
        source.asked.clear()
        done = await bench.backfill(source, 3)
        assert not complete & {partition for partition, _ in source.asked}, f"cancelled after {turns} turns"
        assert (done.before, done.left, len(await bench.records())) == (len(complete), 0, 6)
        if not cancelled:
            return
    raise AssertionError("the backfill never ends")


@pytest.mark.parametrize("seed", range(3))
def test_rounds_end_and_a_live_run_that_waits_comes_in_between(seed: int) -> None:
    """Windows of ten seconds: a round begins none after thirty, and a live run that is asked for in the middle of it is
    next, long before the backfill is over."""

    async def story(clock: WorldClock) -> tuple[list[str], float]:
        bench = Bench(clock)
        source = Days(clock, seconds=5.0)
        task = asyncio.ensure_future(bench.backfill(source, 20))
        await clock.sleep(12)
        runner, _ = bench.process()
        await runner.run(job_of(source))
        live_ended = clock.monotonic()
        await task
        return [str(run.trigger) for run in await bench.runs()], live_ended

    triggers, live_ended = virtually(story, seed)
    assert triggers == ["backfill", "cli", *["backfill"] * 6]
    assert live_ended < ROUND_SECONDS + 10 + PAUSE + 5


def test_a_timed_run_waits_for_the_end_of_a_round_and_is_not_skipped() -> None:
    """While a backfill has the source a slot that is due stays due; it runs in the pause."""

    async def story(clock: WorldClock) -> Any:
        bench = Bench(clock)
        source = Days(clock, seconds=5.0)
        runner, _ = bench.process()
        desk = Desk(bench.store, clock, runner)
        timetable = Timetable(bench.store, desk, {"scripted": Every(40)}, {"scripted": job_of(source)})
        await timetable.settle()
        task = asyncio.ensure_future(bench.backfill(source, 20))
        await clock.sleep(0.1)
        while not task.done():
            await timetable.tick()
            await clock.sleep(0.5)
        while desk.running:
            await clock.sleep(0.5)
        async with bench.store.begin(write=False) as work:
            slots = await work.schedules.slots("scripted", limit=100)
        return [slot.state for slot in slots], [run.trigger for run in await bench.runs()]

    states, triggers = virtually(story)
    assert SlotState.SKIPPED not in states
    assert states.count(SlotState.RAN) == triggers.count(Trigger.SCHEDULE) >= 4
    assert triggers.count(Trigger.BACKFILL) >= 4


@pytest.mark.parametrize("seed", range(5))
def test_two_backfills_of_one_span_share_it(seed: int) -> None:
    """Begun at the same time by two processes, they take turns; no page is asked for twice."""

    async def story(clock: WorldClock) -> Any:
        bench = Bench(clock)
        source = Days(clock, seconds=5.0)
        one, other = await asyncio.gather(bench.backfill(source, 12), bench.backfill(source, 12))
        return source.asked, one, other

    asked, one, other = virtually(story, seed)
    assert sorted(asked) == sorted((window.partition, page) for window in days(12) for page in (0, 1))
    assert one.left == other.left == 0
    assert len(one.completed) + len(other.completed) == 12


async def test_a_round_whose_process_died_is_ended_and_not_taken_over() -> None:
    """A service that finds it marks its run as interrupted, and begins nothing: whoever wanted it begins it again."""
    world = World()
    dead, alive, gate = world.process(), world.process(), Gate()
    await dead.desk.start([job(gate=gate)], Trigger.BACKFILL)
    await gate.reached.wait()
    await dead.die()
    assert await alive.recovery(job()).look() == 1
    assert alive.desk.running == 0
    assert [(run.trigger, run.status) for run in await world.runs()] == [(Trigger.BACKFILL, RunStatus.INTERRUPTED)]
    gate.opened.set()
    await dead.desk.stop(5.0)


async def test_an_older_state_of_a_window_does_not_replace_a_newer_one() -> None:
    """Dated, it becomes an earlier version of the record, whenever it was read."""
    bench = Bench()
    source = Days(live=[[{"id": "coin", "price": "9", "at": "2024-06-01T00:00:00Z"}]])
    source.pages = lambda window: [[{"id": "coin", "price": str(window.start.day), "at": window.start.isoformat()}]]
    job = job_of(source, history=True)
    runner, _ = bench.process()
    await runner.run(job)
    done = await bench.backfill(source, 2, job=job)
    assert str((await bench.records())["coin"].record.value) == "9"
    assert [value for value, _ in await bench.versions("coin")] == ["2", "1"]
    assert done.counters.updated == 2


async def test_windows_of_then_show_things_as_they_were_at_their_end() -> None:
    """Undated states of days: the live one, seen later, stays; the days are its earlier versions; a replay of all of it
    changes nothing."""
    bench = Bench()
    bench.clock.now()
    bench.clock._now += timedelta(days=30)
    source = Days(clock=bench.clock, live=[[{"id": "coin", "price": "9"}]])
    source.pages = lambda window: [[{"id": "coin", "price": str(window.start.day)}]]
    job = job_of(source, mapping=UNDATED, history=True, windows_as_of_then=True)
    runner, _ = bench.process()
    await runner.run(job)
    await bench.backfill(source, 2, job=job)
    first, second = days(2)
    expected = [("2", second.end), ("1", first.end)]
    assert (str((await bench.records())["coin"].record.value), await bench.versions("coin")) == ("9", expected)
    parts = bench.store, MemoryHandle(bench.owners), bench.clock, {"lines": LinesDecoder()}, Told()
    replayed = await Replayer(*parts).replay(job)
    assert (replayed.status, await bench.versions("coin")) == (RunStatus.UNCHANGED, expected)


async def test_states_say_how_far_each_window_is() -> None:
    """Open, begun (its first page is there), complete; one that was reset is open again."""
    bench, source = Bench(), Days(pages=failing(1))
    await bench.backfill(source, 2)
    _, backfiller = bench.process()
    states = await backfiller.states("scripted", source, days(3))
    assert list(states.values()) == [WindowState.COMPLETE, WindowState.BEGUN, WindowState.OPEN]
    async with bench.store.begin() as work:
        name = days(1)[0].partition
        at = bench.clock.now()
        version = (await bench.checkpoints())[name].version
        await work.checkpoints.save("scripted", name, {}, expected_version=version, run_id=None, at=at)
        await work.commit()
    assert (await backfiller.states("scripted", source, days(1)))[days(1)[0]] is WindowState.OPEN


async def test_a_position_that_is_not_understood_fails_its_window_alone() -> None:
    """Damaged before anything is read of it: told with what to do, and the others come in."""
    bench, source = Bench(), Days()
    bad = days(3)[1]
    async with bench.store.begin() as work:
        at = bench.clock.now()
        cursor = {"$slice": {"raw_id": "?"}}
        await work.checkpoints.save("scripted", bad.partition, cursor, expected_version=0, run_id=None, at=at)
        await work.commit()
    done = await bench.backfill(source, 3)
    assert (len(done.completed), done.left, done.status) == (2, 1, "degraded")
    assert f"kasparro state reset scripted --partition {bad.partition}" in str(done.failed[bad])


@pytest.mark.parametrize(
    ("start", "end", "step", "said"),
    [
        (5, 5, "1d", "the end has to be later than the start"),
        (5, 4, "1d", "the end has to be later than the start"),
        (5, 99, "1d", "is not over yet"),
        (-36_000, 5, "1m", "more than 100,000 windows"),
    ],
)
def test_spans_that_cannot_be_read_are_refused(start: int, end: int, step: str, said: str) -> None:
    """Each with one sentence that names the source and the span."""
    now = EPOCH + timedelta(days=30)
    first, last = EPOCH + timedelta(days=start), EPOCH + timedelta(days=end)
    with pytest.raises(ConfigurationError, match=said) as refused:
        planned("scripted", Days(), first, last, Step.parse(step), now)
    assert "source 'scripted': the span from " in refused.value.message
