"""Which faults fire: by seed, point, source, partition and number, and by nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pytest
from scripted import SteppingClock

from kasparro_adapters.chaos import Faults, Point

PLACES = [(point, source, "") for point in Point for source in ("", "a", "b")]


def faults(**given: Any) -> Faults:
    return Faults(SteppingClock(), **{"rate": 0.3, "latency": 0.0, "seed": 1, **given})


def fired(subject: Faults, places: Iterable[tuple[Point, str, str]]) -> set[tuple[Point, str, str, int]]:
    found = (subject.fires(*place) for place in places)
    return {(fault.point, fault.source, fault.partition, fault.number) for fault in found if fault is not None}


def test_the_same_seed_fires_the_same_faults_in_any_order() -> None:
    """Points, sources and partitions may be passed in any order: each has its own numbers, and its own decisions."""
    by_turns = fired(faults(), PLACES * 50)
    one_after_the_other = fired(faults(), [place for place in reversed(PLACES) for _ in range(50)])
    assert by_turns == one_after_the_other != set()


def test_another_seed_fires_other_faults() -> None:
    """Two seeds do not meet the same places."""
    assert fired(faults(seed=1), PLACES * 50) != fired(faults(seed=2), PLACES * 50)


def test_the_seed_decides_across_versions() -> None:
    """Seed 7 fires today where it will fire tomorrow: a seed in a bug report stays good."""
    found = fired(faults(seed=7), [(Point.SOURCE_CUT, "market", "")] * 40)
    assert sorted(number for *_, number in found) == [3, 24, 29, 30, 35]


def test_the_rate_is_how_often_faults_fire() -> None:
    """About so many of the passages fail; with 0 none does, with 1 each."""
    places = [(Point.COMMIT_AFTER, "a", "")] * 2000
    assert 500 < len(fired(faults(rate=0.3), places)) < 700
    assert fired(faults(rate=0), places) == set()
    assert len(fired(faults(rate=1), places)) == 2000


def test_points_that_are_not_chosen_stay_sound() -> None:
    """With `points` the others never fire; what is chosen fires as it would among all."""
    chosen = fired(faults(points=[Point.COMMIT_AFTER]), PLACES * 50)
    assert chosen == {fault for fault in fired(faults(), PLACES * 50) if fault[0] is Point.COMMIT_AFTER}


def test_without_a_seed_one_is_drawn_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """What was drawn stands in the log, and given back as seed it fires the same."""
    drawn = faults(seed=None)
    drawn.announce()
    (line,) = caplog.records
    told: Any = line
    assert line.levelno == logging.WARNING
    assert fired(drawn, PLACES * 50) == fired(faults(seed=told.seed), PLACES * 50)
    assert faults(seed=None).seed != told.seed


def test_each_fault_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line a fault, with point, source, partition and number; none where none fires."""
    found = fired(faults(), [(Point.SOURCE_CUT, "a", "p")] * 20)
    lines: list[Any] = caplog.records
    assert {(line.point, line.source, line.partition, line.number) for line in lines} == found
    assert len(lines) == len(found) > 0
    assert fired(faults(rate=0), PLACES * 20) == set()
    assert len(caplog.records) == len(found)


def test_what_belongs_to_no_source_names_none(caplog: pytest.LogCaptureFixture) -> None:
    """Where the source is not known the line has no field for it, so that what the run's context says may stand."""
    fired(faults(rate=1), [(Point.STORAGE_SLOW, "", "")])
    (line,) = caplog.records
    assert not hasattr(line, "source")
    assert not hasattr(line, "partition")


def test_after_so_many_items_a_read_is_over() -> None:
    """`fail_after` counts the items of a read; 0 is at once, None never."""
    assert [faults(fail_after=10).is_over(items) for items in (0, 9, 10, 11)] == [False, False, True, True]
    assert faults(fail_after=0).is_over(0)
    assert not faults().is_over(10**9)


async def test_a_slow_passage_waits_on_the_clock() -> None:
    """The latency is slept where the point fires, and nowhere else."""
    clock = SteppingClock()
    slow = Faults(clock, rate=1, latency=2.5, points=[Point.SOURCE_SLOW])
    await slow.delay(Point.COMMIT_SLOW)
    await slow.delay(Point.SOURCE_SLOW, "a", "")
    assert clock.slept == [2.5]
