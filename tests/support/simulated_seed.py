"""One seed from its beginning to its end, and what it came to."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from simulated_world import World

from kasparro_core.services import prepare

LONGEST = 2_000.0
"""Virtual seconds after which a simulation that has not ended is taken for one that never will."""


@dataclass(frozen=True)
class Outcome:
    """What a seed came to: the hash of every step and of all that was stored, what was wrong, what was counted, and the
    trace if it was kept."""

    seed: int
    hash: str
    faults: list[str]
    counts: Mapping[str, int]
    trace: list[str]


class _Bugs(logging.Handler):
    """Hears of the exceptions that the services only log: each is a bug."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._faults.append(self.format(record))


def simulate(seed: int, *, keep_trace: bool = False) -> Outcome:
    """Live through one seed."""
    whole, prepare.SLICE_ROWS = prepare.SLICE_ROWS, 3
    world = World(seed, keep_trace)
    listener = _Bugs(world.faults)
    log = logging.getLogger("kasparro")
    propagates, log.propagate = log.propagate, False
    log.addHandler(listener)
    try:
        _live(world)
    finally:
        prepare.SLICE_ROWS = whole
        log.removeHandler(listener)
        log.propagate = propagates
    faults = [*world.oracle.found, *world.loop.faults, *world.faults]
    state = world.database.state
    tables = (state.runs, state.records, state.versions, state.checkpoints, state.slots, state.leases, state.events)
    digest = hashlib.blake2b(repr((world.loop.hash, tables)).encode(), digest_size=8).hexdigest()
    outcome = Outcome(seed, digest, faults, _counts(world), world.trace)
    _take_apart(world)
    return outcome


def _live(world: World) -> None:
    loop = world.loop
    story = loop.create_task(world.live())
    watchdog = loop.call_later(LONGEST, story.cancel)
    try:
        loop.run_until_complete(story)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told as a fault of the seed
        world.faults.append("".join(traceback.format_exception(error)))
    watchdog.cancel()
    digest = loop.hash
    _bury(world)
    loop.hash = digest


def _bury(world: World) -> None:
    """Let what was torn off come to its end, on a database that takes nothing any more."""
    world.database.closed = True
    told = len(world.loop.faults)
    world.loop.revive()
    while pending := asyncio.all_tasks(world.loop):
        for task in pending:
            task.cancel()
        world.loop.run_until_complete(asyncio.wait(pending, timeout=60.0))
    world.loop.run_until_complete(world.loop.shutdown_asyncgens())
    world.loop.close()
    del world.loop.faults[told:]


def _take_apart(world: World) -> None:
    """Break the circles among what is left, so that it goes away at once and not when rubbish is collected."""
    for part in [*world.processes, world.database, world.oracle, world]:
        vars(part).clear()


def _counts(world: World) -> Counter[str]:
    counts = Counter(world.counts)
    counts.update(world.database.fired)
    counts.update({f"taken over: {why}": times for why, times in world.oracle.takeovers.items()})
    runs = Counter(f"runs {run.status}" for run in world.database.state.runs.values())
    counts.update(runs)
    counts["commits"] = world.database.commits
    counts["steps"] = world.loop.steps
    return counts
