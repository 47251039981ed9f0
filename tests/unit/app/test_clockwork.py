"""The clock of a service, and the work that is done once for all processes."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from kasparro_adapters.memory import MemoryStore
from kasparro_app.scheduling.clock import Beat, Clockwork
from kasparro_app.scheduling.upkeep import NAME, Upkeep
from kasparro_core.errors import TransientStorageError


class Looks:
    """Work that fails as it is told, and counts."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.count = 0
        self.looked = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        self.looked.set()
        if self.fault is not None:
            raise self.fault

    async def again(self, times: int = 3) -> None:
        """Wait until it was done some more times."""
        for _ in range(times):
            self.looked.clear()
            async with asyncio.timeout(10):
                await self.looked.wait()


@pytest.mark.parametrize("fault", [TransientStorageError("The database is away."), KeyError("a bug")])
async def test_a_fault_is_told_once_and_stops_nothing(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A beat that fails goes on beating; the log has one line when it begins to fail, and one when it works again."""
    looks = Looks()
    clockwork = Clockwork([Beat("the look-out", 0.01, looks)])
    clockwork.start()
    await looks.again()
    looks.fault = fault
    await looks.again(5)
    looks.fault = None
    await looks.again(5)
    await clockwork.stop(5)
    said = [(record.levelno, record.getMessage().split(" by")[0].split(":")[0]) for record in caplog.records]
    assert [line.removesuffix(",") for level, line in said if level >= logging.WARNING] == [
        "the look-out does not work",
        "the look-out works again",
    ]


async def test_a_slow_beat_is_alone_and_is_waited_for() -> None:
    """The next beat of the same work does not begin meanwhile; stopping lets it end."""
    begun, done = 0, 0
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        nonlocal begun, done
        begun += 1
        entered.set()
        await go_on.wait()
        done += 1

    looks = Looks()
    clockwork = Clockwork([Beat("slow", 0.01, slow), Beat("quick", 0.01, looks)])
    clockwork.start()
    async with asyncio.timeout(10):
        await entered.wait()
    await looks.again(5)
    assert begun == 1
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    await clockwork.stop(5)
    assert (begun, done) == (1, 1)


async def test_a_beat_that_hangs_is_cancelled_when_its_time_is_over() -> None:
    """Stopping takes no longer than it may."""
    cancelled, entered = asyncio.Event(), asyncio.Event()

    async def hanging() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    clockwork = Clockwork([Beat("hanging", 0.01, hanging)])
    clockwork.start()
    async with asyncio.timeout(10):
        await entered.wait()
    await clockwork.stop(0.01)
    async with asyncio.timeout(10):
        await cancelled.wait()


async def test_a_stop_at_any_step_of_a_beat_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Whether the beat has not begun, is at work or hangs: an end that was asked for is no fault of it."""
    for steps in range(12):
        clockwork = Clockwork([Beat("hanging", 0.01, asyncio.Event().wait)])
        clockwork.start()
        for _ in range(steps):
            await asyncio.sleep(0)
        await clockwork.stop(0.001)
        await asyncio.sleep(0.001)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_stopping_what_never_started_is_fine() -> None:
    """A service that is told to end before its database came has a clock that never ran."""
    await Clockwork([]).stop(1)


async def test_maintenance_is_done_once_a_day_by_one_of_many() -> None:
    """Three processes look at once, again and again: one of them does it, and the next day one of them again."""
    now = [datetime(2026, 11, 20, tzinfo=UTC)]
    store = MemoryStore(lambda: now[0])
    done: list[int] = []

    def process(number: int) -> Upkeep:
        async def work() -> None:
            done.append(number)

        return Upkeep(store, work)

    processes = [process(number) for number in range(3)]
    for _ in range(3):
        await asyncio.gather(*(each.tick() for each in processes))
    assert len(done) == 1
    now[0] += timedelta(days=1)
    await asyncio.gather(*(each.tick() for each in processes))
    assert len(done) == 2
    async with store.begin(write=False) as work:
        state = await work.schedules.get(NAME)
    assert state is not None
    assert state.next_at is not None
    assert state.next_at > now[0]
