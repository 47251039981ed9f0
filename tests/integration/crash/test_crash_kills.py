"""SIGKILL at random instants of a run, seen by the oracle every 10 ms: nothing is lost, nothing doubled, no position
ahead of its data at any moment, and the next run exits 0 by itself.

KASPARRO_CRASH_KILLS=200 makes it a storm (`make crash`); see docs/how-to/run-the-crash-tests.md.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from unittest import mock

import pytest
from crash_storm import KILLS, NEEDS_POSIX, Shard, Storm, wanted
from crash_try import Strike, Try
from crash_world import HEAVY, PAGINGS, WIDE, Ended, Place, Runs, Size, Started
from snapshot import look
from upstream import Upstream

pytestmark = [NEEDS_POSIX, pytest.mark.slow, pytest.mark.timeout(7200)]
KILLS_IN_TESTS = 4


def _at(upstream: Upstream, strike: str) -> Strike:
    """What a word of a plan does: `time:0.25` kills after so many seconds, `request:4` in the middle of the fourth
    request for a page, `answer:4` right after it was answered."""
    kind, _, number = strike.partition(":")

    def by_time(started: Started) -> Ended:
        if not started.go().ends_within(float(number)):
            started.kill()
        return started.ended()

    def by_request(started: Started) -> Ended:
        def hook(count: int) -> None:
            if count == int(number):
                started.kill()

        with mock.patch.object(upstream, {"request": "hook", "answer": "after"}[kind], hook):
            return started.go().ended()

    return by_time if kind == "time" else by_request


def _plan(seed: str, seconds: float) -> str:
    """One kill, or two or three of which each meets the run that resumes the last; before them, how it pages."""
    chance = random.Random(seed)
    strikes = [chance.choice(list(PAGINGS))]
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        if chance.random() < 0.7:
            strikes.append(_instant(chance, seconds))
        else:
            strikes.append(f"{chance.choice(('request', 'answer'))}:{chance.randint(1, WIDE.pages)}")
    return ",".join(strikes)


def _instant(chance: random.Random, seconds: float) -> str:
    return f"time:{chance.uniform(0.0, seconds):.4f}"


def _seconds_of_a_run(runs: Runs, fresh: Place, size: Size) -> float:
    """How long an undisturbed run takes, watched as the others are. The second one: the first also warms up."""
    for _ in range(2):
        attempt = Try(runs, fresh(size))
        begun = time.monotonic()
        attempt.put_right()
        seconds = time.monotonic() - begun
        assert attempt.faults == []
    return seconds


def _tries(plans: Iterator[str], target: int, size: Size, runs: Runs, fresh: Place, storm: Storm) -> None:
    """Try one plan after the other, until so many kills have fired."""
    for plan in [storm.only] if storm.only else plans:
        paging, *strikes = plan.split(",")
        attempt = Try(runs, fresh(size, paging))
        for strike in strikes:
            attempt.struck(_at(attempt.world.upstream, strike))
        attempt.put_right()
        storm.note(plan, attempt)
        if storm.counts["kills"] >= target:
            return
        assert storm.counts["void"] < 20 + 5 * target, "most kills come too late"


def test_kills_at_random_instants(
    kind: str, fresh: Place, crash_runs: Runs, storm: Storm, tell: Callable[[str], None]
) -> None:
    """After every kill, and at every 10 ms of all runs, what is committed belongs together; the next run ends it."""
    seconds = _seconds_of_a_run(crash_runs, fresh, WIDE)
    shard = Shard.given()
    plans = (_plan(f"{kind} {number}", seconds) for number in shard.numbers())
    _tries(plans, shard.share(wanted(KILLS, KILLS_IN_TESTS)), WIDE, crash_runs, fresh, storm)
    storm.close(tell)


def test_kills_inside_a_payload(
    kind: str, fresh: Place, crash_runs: Runs, storm: Storm, tell: Callable[[str], None]
) -> None:
    """A payload of 25,000 items is committed in three slices: killed between two, the rest comes from the stored bytes.
    Of these kills there are a quarter as many."""
    seconds = _seconds_of_a_run(crash_runs, fresh, HEAVY)
    shard = Shard.given()
    plans = (f"page,{_instant(random.Random(f'{kind} {number}'), seconds)}" for number in shard.numbers())
    _tries(plans, shard.share(wanted(KILLS, KILLS_IN_TESTS) // 4 or 1), HEAVY, crash_runs, fresh, storm)
    storm.close(tell)


def test_killed_again_and_again_it_still_arrives(fresh: Place, crash_runs: Runs) -> None:
    """A run that is killed in each of its first attempts makes progress in every one; each resumes the one before."""
    attempt = Try(crash_runs, fresh(WIDE))
    for request in (2, 3, 5):
        assert attempt.struck(_at(attempt.world.upstream, f"request:{request}"))
    attempt.put_right()
    assert attempt.faults == []
    runs = sorted(run for run in look(attempt.world.url).runs.values() if run.source == "market")
    assert [run.status for run in runs] == ["interrupted"] * 3 + ["succeeded"]
    assert [run.resumes for run in runs] == [None, *(run.run_id for run in runs[:-1])]
