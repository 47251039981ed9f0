"""One try of a storm: runs that are struck, a look after each of them, and the run that puts everything right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from crash_world import Ended, Runs, Started, World
from oracle import Watch, late, wrong
from snapshot import State, look

Strike = Callable[[Started], Ended]
"""Lets a process go, strikes it somewhere on its way, and waits for its end."""


@dataclass
class Try:
    """What happened in one world. `faults` is what was wrong, in the order in which it was found; `counts` are
    kills fired, runs that ended before (`void`), looks (`polls`), and pages asked for a second time (`again`)."""

    runs: Runs
    world: World
    watched: bool = True
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _seen: set[int] = field(default_factory=set)
    _last: State | None = None

    def struck(self, strike: Strike) -> bool:
        """One run that is struck; a look right after. False when it ended before it was."""
        ended = self._run(strike)
        if not ended.killed:
            self.counts["void"] += 1
            self._expect_success(ended)
            self._look("after a run that was not killed", ended=True)
            return False
        self.counts["kills"] += 1
        self._look(f"after kill {self.counts['kills']}")
        return True

    def put_right(self) -> None:
        """The next run, which nobody attends: it exits 0, and everything is there once."""
        self._expect_success(self._run(lambda started: started.go().ended()))
        self._look("after the next run", ended=True)
        if left := self.world.owners_left():
            self.faults.append(f"files of owners are left: {left}")

    def _run(self, strike: Strike) -> Ended:
        started = self.runs.start(self.world, *self.world.run)
        watch = Watch(self.world.url, self.world.truths) if self.watched else None
        with watch or nullcontext():
            ended = strike(started)
        if watch is not None:
            self.counts["polls"] += watch.polls
            self.faults += [f"during a run, {fault}" for fault in watch.faults]
        return ended

    def _expect_success(self, ended: Ended) -> None:
        if ended.code != 0:
            self.faults.append(f"a run that nobody killed ended with {ended.code}: {ended.err}")

    def _look(self, when: str, *, ended: bool = False) -> None:
        state = look(self.world.url, payloads=True)
        found = wrong(state, self.world.truths, ended=ended)
        if self._last is not None:
            found += late(self._last, state)
        self.faults += [f"{when}: {fault}" for fault in (*found, *self._asked_again(state))]
        self._last = state

    def _asked_again(self, state: State) -> list[str]:
        """By the server's log: of one walk over the pages, a kill costs one request at most. A walk that had come to
        its end is over, and the next run begins another."""
        again = sum(page in self._seen for page in self.world.upstream.asked)
        self.counts["again"] += again
        self._seen |= set(self.world.upstream.asked)
        self.world.upstream.forget()
        if any(point.source == "market" and "walk" not in point.cursor for point in state.points):
            self._seen.clear()
        return [f"{again} pages were fetched again"] if again > 1 else []
