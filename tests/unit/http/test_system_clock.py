"""The machine's clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from kasparro_adapters import clock
from kasparro_adapters.clock import SystemClock


def test_now_never_repeats_even_across_threads():
    """Every instant is later than any given before, aware and UTC."""
    system = SystemClock()
    with ThreadPoolExecutor(4) as pool:
        lists = list(pool.map(lambda _: [system.now() for _ in range(500)], range(4)))
    moments = [moment for each in lists for moment in each]
    assert len(set(moments)) == len(moments)
    assert all(each == sorted(each) for each in lists)
    assert all(moment.utcoffset() == timedelta(0) for moment in moments)


def test_now_goes_on_when_the_machine_is_set_back(monkeypatch):
    """A clock that is set back by an hour still gives later instants."""
    readings = iter([datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC)])

    class Frozen(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(readings)

    system = SystemClock()
    monkeypatch.setattr(clock, "datetime", Frozen)
    first, second = system.now(), system.now()
    assert second - first == timedelta(microseconds=1)


async def test_sleeping_passes_monotonic_time():
    """A sleep lasts at least as long as asked, and monotonic time sees it."""
    system = SystemClock()
    before = system.monotonic()
    await system.sleep(0.01)
    assert system.monotonic() > before
