"""SIGKILL at the n-th write, fsync and send of a run, for every n until none fires: nothing is lost, nothing doubled,
and the next run exits 0 by itself.

A run of three sources, three batches each (the feed has one), is watched by strace once; then it is run again for each
call that was seen, and killed when it is about to make that call. KASPARRO_CRASH_POINTS=all takes every one of them
(`make crash`); the tests take a few of them, spread over all. See docs/how-to/run-the-crash-tests.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from crash_storm import NEEDS_POSIX, POINTS, Shard, Storm, spread, wanted
from crash_syscalls import Point, points_of, refused
from crash_try import Try
from crash_world import SMALL, Place, Runs

pytestmark = [
    NEEDS_POSIX,
    pytest.mark.slow,
    pytest.mark.timeout(7200),
]


@dataclass
class Calls:
    """A storm at system calls, in databases with their tables or without."""

    runs: Runs
    fresh: Place
    storm: Storm
    tables: bool = True
    few: int = 8
    """How many points `make test` takes."""

    def points(self, *, tables: bool) -> list[Point]:
        """The points of a run, seen by strace."""
        return points_of(self.runs, self.fresh(SMALL, tables=tables))

    def strike(self, point: Point) -> bool:
        """Kill at a point, and see what the next run makes of it. False when the run never came there."""
        attempt = Try(self.runs, self.fresh(SMALL, tables=self.tables), watched=False)
        fired = attempt.struck(point.killing(attempt.world))
        if fired:
            attempt.put_right()
        self.storm.note(str(point), attempt)
        return fired

    def strike_all(self, points: Sequence[Point]) -> None:
        """Kill at each of this shard's points. A try that did not fire is made once more: two runs are not alike to the
        last call."""
        self.storm.counts["points"] = len(points)
        chosen = spread(points, wanted(POINTS, self.few))
        for point in Shard.given().of(chosen):
            if not self.strike(point):
                self.strike(point)

    def strike_beyond(self, points: Sequence[Point]) -> None:
        """At every place go on behind the last point that the dry run saw, until none fires. For one shard to do."""
        if wanted(POINTS, self.few) < len(points) or Shard.given().index:
            return
        last = {point.place: point.number for point in points}
        for place, number in last.items():
            following = number + 1
            while self.strike(Point(place, following)):
                following += 1


@pytest.fixture
def calls(fresh: Place, crash_runs: Runs, storm: Storm) -> Calls:
    """A storm. Skips where nothing can be traced."""
    if reason := refused():
        pytest.skip(reason)
    crash_runs.finish(fresh(SMALL))  # the first one also warms up
    return Calls(crash_runs, fresh, storm)


def test_kills_at_system_calls(calls: Calls, tell: Callable[[str], None]) -> None:
    """Wherever between two writes the process dies, what is committed belongs together, and the next run ends it."""
    if calls.storm.only:
        calls.strike(Point.parse(calls.storm.only))
    else:
        points = calls.points(tables=True)
        calls.strike_all(points)
        calls.strike_beyond(points)
    calls.storm.close(tell)


def test_kills_while_tables_are_made(calls: Calls, tell: Callable[[str], None]) -> None:
    """The very first run makes the tables. Broken off anywhere there, it is the next run that makes them and reads."""
    calls.tables, calls.few = False, 5
    if calls.storm.only:
        calls.strike(Point.parse(calls.storm.only))
    else:
        later = Counter(point.place for point in calls.points(tables=True))
        points = calls.points(tables=False)
        added = Counter(point.place for point in points) - later
        calls.strike_all([point for point in points if point.number <= added[point.place]])
    calls.storm.close(tell)
