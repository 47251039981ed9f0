"""Past windows of a source, each read as a partition of its own: what a window leaves is no business of the live ones.

    open ──read to its end──▶ complete, and never asked for again
     ▲ │
     └─┘ it failed, or the process died: the next backfill goes on from its position

A backfill works in rounds. A round is one run: it holds the source, begins no window after ROUND_SECONDS, and gives the
source back. Between two rounds lies a pause in which whoever waits for the source gets it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from kasparro_core.errors import ConfigurationError, ConflictError
from kasparro_core.model import Cursor, Trigger
from kasparro_core.model.window import Window
from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.policy.windows import Step, cut
from kasparro_core.ports import Clock, Store
from kasparro_core.ports.source import Windowed
from kasparro_core.services.backfill_round import Backfilled, Told, WindowRound
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

ROUND_WINDOWS = 500
"""Windows of one round at most."""

PAUSE = 1.0
"""Seconds between two rounds: who waits for a source looks four times a second, schedules are looked at twice."""


class WindowState(StrEnum):
    """How far a window is: never read, broken off or failed on the way, read to its end."""

    OPEN = "open"
    BEGUN = "begun"
    COMPLETE = "complete"


def planned(source: str, windowed: Windowed, start: datetime, end: datetime, step: Step, now: datetime) -> list[Window]:
    """The windows from `start` to `end`, the oldest first. Raises ConfigurationError for a span that is not past, has
    no or too many windows, and for a window that the source cannot be asked for."""
    span = f"source {source!r}: the span from {rfc3339(start)} to {rfc3339(end)}"
    if end > now:
        raise ConfigurationError(
            f"{span} is not over yet: it is {rfc3339(now)} now.",
            hint="A window is read once, so it has to be past. What is new comes with `kasparro run`.",
        )
    try:
        windows = cut(start, end, step)
    except ValueError as error:
        raise ConfigurationError(f"{span}: {error}.", hint="--from, --to and --chunk say which windows.") from error
    for window in windows:
        windowed.check_window(window)
    return windows


class Backfiller:
    """Backfills sources for one process."""

    def __init__(self, store: Store, clock: Clock, runner: Runner) -> None:
        self._store = store
        self._clock = clock
        self._runner = runner

    async def states(self, source: str, windowed: Windowed, windows: Sequence[Window]) -> Mapping[Window, WindowState]:
        """How far each window is, in their order. Raises StorageError."""
        async with self._store.begin(write=False) as work:
            stored = {each.partition: each.cursor for each in await work.checkpoints.list(source)}
            failed = {each.partition for each in await work.partitions.list(source) if each.state != "ok"}
        return {
            window: _state(windowed, stored.get(window.partition), failed=window.partition in failed)
            for window in windows
        }

    async def backfill(
        self,
        job: SourceJob,
        windowed: Windowed,
        windows: Sequence[Window],
        *,
        parallel: int = 1,
        full: bool = False,
        told: Told | None = None,
    ) -> Backfilled:
        """Read the windows that are not complete (with `full`: all of them, from their start), so many side by side.

        `windows` are as `planned` gives them; `windowed` is the job's source, or the one that it wraps. A window that
        fails is told in the result, and is left open. Raises StorageError when the database fails, ConflictError when a
        round was taken over: what was committed stays, and the next backfill goes on.
        """
        states = await self.states(job.name, windowed, windows)
        todo = list(windows) if full else _incomplete(states)
        done = Backfilled(len(windows), len(windows) - len(todo))

        async def choose(some: Sequence[Window]) -> list[Window]:
            """Seen by whoever holds the source: another backfill may have been there in the pause."""
            return list(some) if full else _incomplete(await self.states(job.name, windowed, some))

        reading = WindowRound(self._clock, job, choose, done, told)
        reading_job = replace(job, source=reading, parallel_partitions=parallel, mark_gone=False, read_ahead=False)
        while todo and not done.stopped:
            if done.runs:
                await self._clock.sleep(PAUSE)
            await self._round(reading_job, reading, todo, full=full)
            todo = [window for window in todo if window not in reading.seen]
        return done

    async def _round(self, job: SourceJob, reading: WindowRound, todo: Sequence[Window], *, full: bool) -> None:
        reading.begin(todo[:ROUND_WINDOWS])
        run = await self._runner.run(job, trigger=Trigger.BACKFILL, full=full)
        if run is None:  # unreachable: a run that waits for its source always begins
            raise ConflictError(f"source {job.name!r} could not be claimed")
        reading.end(run)


def _incomplete(states: Mapping[Window, WindowState]) -> list[Window]:
    return [window for window, state in states.items() if state is not WindowState.COMPLETE]


def _state(windowed: Windowed, cursor: Cursor | None, *, failed: bool) -> WindowState:
    """A complete window that was to be read again, and failed, keeps its position and is not complete."""
    if not cursor:
        return WindowState.OPEN
    return WindowState.COMPLETE if windowed.is_complete(cursor) and not failed else WindowState.BEGUN
