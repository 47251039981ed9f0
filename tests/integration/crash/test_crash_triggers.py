"""A hundred triggers of one source at once, from several processes: one run at a time, whoever asks and however.

KASPARRO_CRASH_TRIGGERS: how many rounds of two hundred triggers there are for each kind of database (1; `make
crash`: 10). A round has 4 processes of the program: two services that are asked by HTTP, and two `kasparro run`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash_storm import NEEDS_POSIX
from ledger import query
from served import Answered, Served, starting, until
from storm_look import wait_for
from storm_market import Ended, Market, ended, market, post
from storm_plan import replayable, seeds, tell

pytestmark = [NEEDS_POSIX, pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = seeds("KASPARRO_CRASH_TRIGGERS", 1)
POSTS = 98
"""Of a hundred triggers; the other two are processes of their own."""


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_hundred_triggers_of_one_source_begin_one_run_at_a_time(
    seed: int, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All at once while the upstream holds the source open: exactly one of the hundred begins a run. Spread over the
    lengths of several runs: each run alone, in the ledger and in the log of the upstream."""
    chance = random.Random(seed)
    with replayable(request, seed), _two_services(tmp_path / "home", database_url) as (place, services):
        at_once = _all_at_once(place, services, chance)
        spread = _spread(place, services, chance)
        tell(request, triggers=2 * (POSTS + 2), at_once=at_once, spread=spread)
        assert _overlapping(database_url) == []
        assert place.upstream.most_at_once == 1
        assert place.faults() == []


def _all_at_once(place: Market, services: Sequence[Served], chance: random.Random) -> str:
    """Over two services and two `run --skip-running`, which take about a second to start: one begins the run, and each
    of the others is told which run that is, or that there is one."""
    gate = threading.Event()
    place.upstream.hook = lambda number: gate.wait(60)
    skipping = [place.start("run", "--skip-running", "--json") for _ in range(2)]
    answers = _post_at_once(services, [chance.uniform(0.0, 2.0)] * POSTS)
    codes = Counter(answer.status for answer in answers)
    wait_for(lambda: sum(child.poll() is not None for child in skipping) >= 1 + codes[202], "those who skip")
    runs = query(place.database, "SELECT run_id, status FROM runs")
    gate.set()
    ends = [ended(child) for child in skipping]
    assert [status for _, status in runs] == ["running"], (codes, ends)
    begun = codes[202] + sum(map(_ran, ends))
    assert (begun, codes[202] + codes[409]) == (1, POSTS), codes
    assert {int(answer.body["run_id"]) for answer in answers} == {runs[0][0]}
    assert [end.code for end in ends] == [0, 0]
    _settled(place)
    assert [status for _, status, _ in place.runs()] == ["succeeded"]
    return f"{begun} run"


def _spread(place: Market, services: Sequence[Served], chance: random.Random) -> str:
    """Over two services, a `run --skip-running` and a `run` that waits for its turn: as many runs as triggers that
    began one."""
    place.upstream.hook = lambda number: time.sleep(0.01)  # an upstream that takes its time
    children = [place.start("run", "--json"), place.start("run", "--skip-running", "--json")]
    answers = _post_at_once(services, [chance.uniform(0.0, 2.0) for _ in range(POSTS)])
    waited, skipped = (ended(child) for child in children)
    codes = Counter(answer.status for answer in answers)
    assert codes[202] + codes[409] == POSTS, codes
    assert _ran(waited), waited
    assert [waited.code, skipped.code] == [0, 0]
    _settled(place)
    begun = codes[202] + 1 + _ran(skipped)
    assert len(place.runs()) == 1 + begun
    assert {status for _, status, _ in place.runs()} <= {"succeeded", "unchanged"}
    return f"{begun} runs"


@contextmanager
def _two_services(folder: Path, database: str) -> Iterator[tuple[Market, list[Served]]]:
    with market(folder, database) as place, starting() as start:
        arguments = ("serve", "--port", "0", "--no-scheduler", "--insecure")
        services = [start(folder, *arguments) for _ in range(2)]
        for served in services:
            served.wait_up()
            until(lambda served=served: served.get("/health/ready").status == 200, "readiness", served)
        yield place, services


def _post_at_once(services: Sequence[Served], delays: Sequence[float]) -> list[Answered]:
    """A trigger for each delay, in turns to the services, on threads that all begin together."""
    barrier = threading.Barrier(len(delays))

    def one(number: int) -> Answered:
        barrier.wait(60)
        time.sleep(delays[number])
        return post(services[number % len(services)].url + "/runs?source=market")

    with ThreadPoolExecutor(len(delays)) as pool:
        return list(pool.map(one, range(len(delays))))


def _settled(place: Market) -> None:
    """Wait until nothing runs any more."""
    wait_for(lambda: all(status != "running" for _, status, _ in place.runs()), "the end of all runs")


def _ran(end: Ended) -> bool:
    return end.outcomes["market"]["status"] != "skipped"


def _overlapping(database: str) -> list[tuple[int, int]]:
    """Runs of which the later one began before the earlier one had ended."""
    return query(
        database,
        "SELECT a.run_id, b.run_id FROM runs AS a JOIN runs AS b ON a.run_id < b.run_id"
        " WHERE b.started_at < a.finished_at",
    )  # type: ignore[return-value]
