"""Progress of runs on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kasparro_app.cli.exits import say
from kasparro_app.observers import SilentObserver
from kasparro_core.errors import KasparroError
from kasparro_core.model import Counters, Event, EventType, Rejection, Run, RunStatus

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOWN_REJECTIONS = 3
_MOST_LINES = 16
"""So many sources have a line on a terminal; the table at the end has them all."""
_LINE_EVERY = 5.0
"""Seconds between two plain lines about the batches of one run."""


@contextmanager
def shown_progress() -> Iterator[Narrator]:
    """An observer that shows what happens while the context is open."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TextColumn("{task.fields[done]}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        yield RichProgress(progress, lambda line: console.print(line, markup=False, highlight=False))


class Narrator(SilentObserver):
    """Tells what is out of the ordinary, a line each."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[int, int] = {}
        self._alarms: dict[int, list[str]] = {}

    def alarms(self, run: Run | None) -> tuple[str, ...]:
        """What stood out in a run, in a sentence each."""
        return () if run is None else tuple(self._alarms.get(run.run_id, ()))

    def run_waiting(self, source: str, run_id: int | None, /) -> None:
        """Another process has the source."""
        self._tell(f"{source}: waiting for {f'run {run_id}' if run_id else 'another process'}")

    def run_taken_over(self, run: Run, dead_run_id: int, /) -> None:
        """A dead run is resumed."""
        self._tell(f"{run.source}: run {dead_run_id} died, run {run.run_id} goes on from where it was")

    def rejected(self, run: Run, partition: str, rejections: tuple[Rejection, ...], /) -> None:
        """The first few refused items of a run; the rest is in the ledger."""
        for rejection in (one for one in rejections if not one.is_note):
            told = self._told[run.run_id] = self._told.get(run.run_id, 0) + 1
            if told <= _SHOWN_REJECTIONS:
                self._tell(f"{run.source}: rejected: {_place(partition, rejection)}: {rejection.message}")

    def noted(self, run: Run, event: Event, /) -> None:
        """Something that a person should know; what stands out is kept, to be told beneath the table."""
        if event.type is EventType.ANOMALY:
            self._alarms.setdefault(run.run_id, []).append(str(event.data["explanation"]))
            return
        facts = ", ".join(f"{name} {value}" for name, value in event.data.items() if value not in (None, ""))
        self._tell(f"{run.source}: {event.type}: {facts}")

    def partition_failed(self, run: Run, partition: str, error: KasparroError, /) -> None:
        """A part of the source could not be read."""
        if partition:
            self._tell(f"{run.source}: {partition}: {error.message}")


class PlainProgress(Narrator):
    """Lines for logs and pipes."""

    def __init__(self, tell: Callable[[str], None] = say, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(tell)
        self._clock = clock
        self._sums: dict[int, Counters] = {}
        self._last: dict[int, float] = {}

    def run_started(self, run: Run, /) -> None:
        """A line per run."""
        self._last[run.run_id] = self._clock()
        self._tell(f"{run.source}: run {run.run_id} started")

    def batch_committed(self, run: Run, _partition: str, delta: Counters, /) -> None:
        """A line every few seconds."""
        self._sums[run.run_id] = self._sums.get(run.run_id, Counters()).plus(delta)
        if self._clock() - self._last.get(run.run_id, 0.0) >= _LINE_EVERY:
            self._last[run.run_id] = self._clock()
            self._tell(f"{run.source}: {summary(self._sums[run.run_id])}")

    def run_finished(self, run: Run, /) -> None:
        """A line per run."""
        self._tell(f"{run.source}: run {run.run_id} {ending(run)}")


class RichProgress(Narrator):
    """One moving line per source. How much there is to come is not known, so there is no share."""

    def __init__(self, progress: Progress, tell: Callable[[str], None]) -> None:
        super().__init__(tell)
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._ended: list[str] = []
        self._sums: dict[int, Counters] = {}

    def run_waiting(self, source: str, _run_id: int | None, /) -> None:
        """The line of the source says so while it waits."""
        self._progress.update(self._task(source), done="waiting for a run elsewhere")

    def run_started(self, run: Run, /) -> None:
        """The line begins."""
        self._progress.update(self._task(run.source), done="started")

    def batch_committed(self, run: Run, _partition: str, delta: Counters, /) -> None:
        """The line counts."""
        self._sums[run.run_id] = self._sums.get(run.run_id, Counters()).plus(delta)
        self._progress.update(self._task(run.source), done=summary(self._sums[run.run_id]))

    def run_finished(self, run: Run, /) -> None:
        """The line ends."""
        self._progress.update(self._task(run.source), done=ending(run), total=1, completed=1)
        self._ended.append(run.source)

    def _task(self, source: str) -> TaskID:
        if source not in self._tasks:
            self._make_room()
            self._tasks[source] = self._progress.add_task(source, total=None, done="")
        return self._tasks[source]

    def _make_room(self) -> None:
        """Lines that have ended give way to new ones: each one that stays is drawn ten times a second."""
        while self._ended and len(self._tasks) >= _MOST_LINES:
            self._progress.remove_task(self._tasks.pop(self._ended.pop(0)))


def ending(run: Run) -> str:
    """`succeeded: 12 fetched, 12 inserted`; of a run that broke off before it read anything the status alone."""
    if run.status in {RunStatus.FAILED, RunStatus.INTERRUPTED} and not run.counters.fetched:
        return str(run.status)
    return f"{run.status}: {summary(run.counters)}"


def summary(counters: Counters) -> str:
    """`1,200 fetched, 1,190 inserted, 10 rejected`: what is not zero."""
    parts = [
        f"{value:,} {name}"
        for name, value in counters._asdict().items()
        if value and name in {"fetched", "inserted", "updated", "unchanged", "rejected"}
    ]
    return ", ".join(parts) or "nothing new"


def _place(partition: str, rejection: Rejection) -> str:
    return f"{partition}, {rejection.path}" if partition else rejection.path
