"""The services of several processes on one database, simulated: every seed is a story of crashes, stops and faults.

`KASPARRO_SIMULATION_SEEDS=10000` makes it a storm, `KASPARRO_CRASH_SHARD=2/4` its second quarter. A failure prints the
command that replays it. What happened is printed too (`pytest -s`, or -rP): faults that fired, runs, commits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulated import outcomes, replay, storm, timed

SEEDS = int(os.environ.get("KASPARRO_SIMULATION_SEEDS", "200"))
SUPPORT = Path(__file__).parents[2] / "support"
FIRED = (
    "commit_after",
    "commit_before",
    "exited",
    "frozen beyond its lease",
    "killed",
    "outage",
    "statement",
    "statement_answer",
    "taken over: its owner was dead",
    "taken over: it had expired",
    "taken over: its own process had left it",
)
"""What has to have happened in any hundred seeds, lest they prove nothing."""


def _shard() -> range:
    """The seeds of this shard: all of them, or each n-th."""
    number, of = (int(part) for part in os.environ.get("KASPARRO_CRASH_SHARD", "1/1").split("/"))
    return range(number - 1, SEEDS, of)


@pytest.mark.timeout(60 + SEEDS)
def test_every_seed_ends_as_a_clean_run_would() -> None:
    """Nothing lost or doubled, no checkpoint ahead of its data, one live run per source at any commit, every slot once;
    and in the end the table that the upstream holds, every run ended and every lease given back."""
    with timed() as pace:
        failed, counts = storm(_shard())
        print(pace(counts["seeds"]))  # noqa: T201 - the figure that was asked for
    print(dict(sorted(counts.items())))  # noqa: T201 - what a storm counted is told
    assert not failed, "\n".join(map(replay, failed))
    if counts["seeds"] >= 100:
        assert [fault for fault in FIRED if not counts[fault]] == [], "these never fired: the storm proves nothing"


def test_a_seed_is_one_story() -> None:
    """The same seeds leave the same traces a second time, in another process too, whatever its hashes begin with."""
    seeds = range(20, 26)
    first, second = ([outcome.hash for outcome in outcomes(seeds)] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)
    assert _traces_of_another_process(seeds) == first


def _traces_of_another_process(seeds: range) -> list[str]:
    source = Path(sys.modules["kasparro_core"].__file__ or "").parents[1]
    child = subprocess.run(
        [sys.executable, "-c", f"import simulated\nfor each in simulated.outcomes({seeds!r}): print(each.hash)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(SUPPORT)]), "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return child.stdout.split()
