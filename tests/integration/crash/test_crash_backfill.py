"""SIGKILL in the middle of a backfill, again and again: the same command goes on, asks for no complete window, and
every row of every window is there once.

KASPARRO_CRASH_KILLS=200 makes it a storm; see docs/how-to/run-the-crash-tests.md.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crash_storm import KILLS, NEEDS_POSIX, Storm, wanted
from crash_world import Ended, Runs
from ledger import query
from past import PER_PAGE, Past, config_of, rows_of
from upstream import serving

pytestmark = [NEEDS_POSIX, pytest.mark.slow, pytest.mark.timeout(7200)]
KILLS_IN_TESTS = 4
EACH = 7
"""Rows of a day: two pages."""
LIVE = ("checkpoints", "http_validators", "partitions")


class World:
    """A database with a live position, an upstream, and a backfill that is begun again and again."""

    def __init__(self, runs: Runs, directory: Path, url: str, past: Past, kills: int) -> None:
        self.runs = runs
        self.place: Any = SimpleNamespace(directory=directory)
        self.url = url
        self.past = past
        self.days = 4 + 2 * kills
        self.chance = random.Random(f"{url.partition(':')[0]} {kills}")
        self.faults: list[str] = []
        self.kills = 0
        (directory / "kasparro.toml").write_text(config_of(past, url), encoding="utf-8")

    def verb(self, *arguments: str) -> Ended:
        return self.runs.start(self.place, *arguments).go().ended()

    def live(self) -> list[tuple[Any, ...]]:
        return [row for table in LIVE for row in query(self.url, f"SELECT * FROM {table} WHERE partition = ''")]

    def complete(self) -> set[str]:
        """The starts of the windows that are complete by their stored positions."""
        stored = query(self.url, "SELECT partition, cursor FROM checkpoints WHERE partition <> ''")
        done = [name for name, cursor in stored if json.loads(cursor) == {"next": {}}]
        return {name.removeprefix("backfill:").partition("/")[0] for name in done}

    def struck(self) -> bool:
        """One attempt that is killed at a random place; False when it ended before."""
        complete = self.complete()
        self.past.forget()
        started = self.runs.start(self.place, *self.command(parallel=self.chance.choice((1, 3))))
        number, seconds = self.chance.randint(1, 6), self.chance.uniform(0.2, 0.6)
        where = self.chance.choice(("hook", "after", "time"))
        if where == "time":
            if not started.go().ends_within(seconds):
                started.kill()
        else:
            setattr(self.past, where, lambda count: started.kill() if count == number else None)
            started.go()
        ended = started.ended()
        self.past.hook = self.past.after = lambda number: None
        self.kills += ended.killed
        self.look(f"after {where} {number}", complete)
        return ended.killed

    def command(self, parallel: int = 1) -> tuple[str, ...]:
        last = rows_of(self.days + 1, 1)[-1]["at"][:10]
        return ("backfill", "past", "--from", "2024-01-01", "--to", last, "--parallel", str(parallel), "--json")

    def look(self, when: str, complete: set[str]) -> None:
        """What is asked for again, what complete windows hold, and what is there twice."""
        again = complete & set(self.past.windows)
        if again:
            self.faults.append(f"{when}: complete windows were asked for again: {sorted(again)}")
        keys = [key for (key,) in query(self.url, "SELECT key FROM records")]
        if len(keys) != len(set(keys)):
            self.faults.append(f"{when}: {len(keys) - len(set(keys))} rows are there twice")
        there = set(keys)
        absent = {row["at"][:10] for row in self.past.rows if row["id"] not in there}
        missing = {start for start in self.complete() if start[:10] in absent}
        if missing:
            self.faults.append(f"{when}: windows say that they are complete and are not: {sorted(missing)}")


@pytest.fixture
def world(crash_runs: Runs, tmp_path: Path, database_url: str) -> Iterator[World]:
    """A live run is over; twice as many days as there are kills to come, and some."""
    kills = wanted(KILLS, KILLS_IN_TESTS)
    with serving(Past(rows_of(days=4 + 2 * kills, each=EACH))) as past:
        assert isinstance(past, Past)
        yield World(crash_runs, tmp_path, database_url, past, kills)


def unended(url: str) -> list[str]:
    """Every round that died is marked as interrupted and resumed by the next one; all others came to a good end."""
    runs = query(url, "SELECT run_id, status, resumes FROM runs WHERE trigger = 'backfill' ORDER BY run_id")
    dead = [run_id for run_id, status, _ in runs if status == "interrupted"]
    resumed = [resumes for _, _, resumes in runs if resumes is not None]
    bad = [status for _, status, _ in runs if status not in {"interrupted", "succeeded", "unchanged"}]
    return [f"dead runs {dead}, resumed {resumed}, other ends {bad}"] if dead != resumed or bad else []


def test_killed_again_and_again_a_backfill_arrives(
    world: World, request: pytest.FixtureRequest, tell: Callable[[str], None]
) -> None:
    """Each row of each window once, no complete window asked for again, the live rows byte by byte as before; each
    round that was killed is ended and resumed by the next."""
    storm = Storm(request.node.name.replace("_", " "), request.node.nodeid)
    assert world.verb("run").code == 0
    before = world.live()
    for _ in range(wanted(KILLS, KILLS_IN_TESTS)):
        if not world.struck():
            storm.counts["void"] += 1
    complete = world.complete()
    world.past.forget()
    ended = world.verb(*world.command())
    assert ended.code == 0, ended.err
    world.look("at the end", complete)
    (done,) = json.loads(ended.out)
    if done["left"] or done["complete"] != world.days:
        world.faults.append(f"the last backfill left windows: {done}")
    if world.live() != before:
        world.faults.append("the live rows have changed")
    keys = {key for (key,) in query(world.url, "SELECT key FROM records")}
    if keys != {row["id"] for row in world.past.rows}:
        world.faults.append(f"{len(keys)} of {len(world.past.rows)} rows are there")
    world.faults += unended(world.url)
    pages = -(-EACH // PER_PAGE)
    assert world.past.pages().total() <= pages * world.days
    storm.counts["kills"] = world.kills
    storm.failed("kills", world.faults)
    storm.close(tell)
