"""One round of a backfill, as a source whose partitions are windows; and what all rounds have done together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from kasparro_core.errors import KasparroError, PermanentSourceError, SourceError
from kasparro_core.model import Batch, Counters, Extent, Run, RunStatus
from kasparro_core.model.window import Window
from kasparro_core.normalize.compiler import compile_mapping
from kasparro_core.ports import Clock, ReadContext, Source
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import LeftOutError

ROUND_SECONDS = 30.0
"""How long after its first window a round begins further ones. So long, and for the windows then under way, a live run
may have to wait."""

LOOKED_AT = 10
"""Items of a batch whose dates are compared with their window."""

MOST_FAILURES = 10
"""Windows that may fail in a row; after so many the rest is not asked for."""

Told = Callable[[Window, KasparroError | None], None]
"""Told of each window once it was read to its end, or failed."""

Choose = Callable[[Sequence[Window]], Awaitable[list[Window]]]
"""Which of some windows are still to be read, seen by whoever holds the source."""


@dataclass(slots=True)
class Backfilled:
    """What a backfill did. `before` of its `windows` were complete before it. `stopped`: too many failed in a row, and
    what is in none of the lists was not asked for. Of the windows that brought dated items, `astray` are those of which
    no item that was looked at is dated inside, `inside` the others."""

    windows: int
    before: int
    completed: list[Window] = field(default_factory=list)
    failed: dict[Window, KasparroError] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    stopped: bool = False
    inside: set[Window] = field(default_factory=set)
    astray: set[Window] = field(default_factory=set)

    @property
    def is_heeded(self) -> bool:
        """False where no window at all brought an item of its time: the origin may not heed what it is asked."""
        return bool(self.inside) or not self.astray

    @property
    def left(self) -> int:
        """Windows that are not complete now; with `full`, that were not read to their end by it."""
        return self.windows - self.before - len(self.completed)

    @property
    def counters(self) -> Counters:
        """What its runs did together."""
        total = Counters()
        for run in self.runs:
            total = total.plus(run.counters)
        return total

    @property
    def status(self) -> RunStatus:
        """As of one run: failed when nothing came through or the rest was given up, degraded when a part failed."""
        statuses = {run.status for run in self.runs}
        bad = statuses & {RunStatus.FAILED, RunStatus.INTERRUPTED}
        if self.stopped or (statuses and statuses == bad):
            return RunStatus.FAILED
        if bad or self.left or RunStatus.DEGRADED in statuses:
            return RunStatus.DEGRADED
        return RunStatus.UNCHANGED if self.counters.changed_nothing else RunStatus.SUCCEEDED


class WindowRound:
    """Implements `kasparro_core.ports.Source`: of another source, the windows of one round, as its partitions."""

    def __init__(self, clock: Clock, job: SourceJob, choose: Choose, done: Backfilled, told: Told | None) -> None:
        self._clock = clock
        self._source: Source = job.source
        self._mapping = compile_mapping(job.mapping)
        self._choose = choose
        self._done = done
        self._told = told
        self._wanted: Sequence[Window] = ()
        self._given: set[Window] = set()
        self._begun_at: float | None = None
        self._failures = 0
        self.seen: set[Window] = set()

    @property
    def name(self) -> str:
        """That of the source."""
        return self._source.name

    def begin(self, windows: Sequence[Window]) -> None:
        """Before a round."""
        self._wanted, self._given, self._begun_at = windows, set(), None

    def end(self, run: Run) -> None:
        """After it: what was neither left out nor came to an end failed by something else than its read."""
        self._done.runs.append(run)
        for window in sorted(self._given - self.seen):
            self._ended(window, PermanentSourceError(run.error or str(run.status), code=run.error_code))

    async def partitions(self) -> Sequence[str]:
        """The windows of the round that are still open."""
        still_open = await self._choose(self._wanted)
        others = set(self._wanted) - set(still_open)
        self.seen |= others
        self._done.before += len(others)
        self._given = set(still_open)
        return [window.partition for window in still_open]

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """The batches of a window. Raises LeftOutError where the round is over, besides what the source raises."""
        window = Window.of(partition)
        if window is None or self._is_over():
            self._given -= {window}
            raise LeftOutError
        try:
            async with aclosing(self._source.read(partition, context)) as batches:  # type: ignore[type-var]
                async for batch in batches:
                    self._look(window, batch)
                    yield _bare(batch)
        except SourceError as error:
            self._ended(window, error)
            raise
        self._ended(window, None)  # the last batch is committed: nothing is read ahead

    def _look(self, window: Window, batch: Batch) -> None:
        some = self._mapping.normalize(batch.items[:LOOKED_AT]).prepared
        dates = [each.record.occurred_at for each in some if each.record.occurred_at is not None]
        if any(window.start <= date <= window.end for date in dates):
            self._done.inside.add(window)
            self._done.astray.discard(window)
        elif dates and window not in self._done.inside:
            self._done.astray.add(window)

    def _is_over(self) -> bool:
        now = self._clock.monotonic()
        if self._begun_at is None:
            self._begun_at = now
        return self._done.stopped or now - self._begun_at > ROUND_SECONDS

    def _ended(self, window: Window, error: KasparroError | None) -> None:
        self.seen.add(window)
        if error is None:
            self._failures = 0
            self._done.completed.append(window)
        else:
            self._failures += 1
            self._done.failed[window] = error
            self._done.stopped |= self._failures >= MOST_FAILURES
        if self._told is not None:
            self._told(window, error)


def _bare(batch: Batch) -> Batch:
    """The batch without what would count for the live source or for a next read: what is not in it is not gone, nobody
    asks for it again, and it says nothing of when to come back."""
    return replace(batch, validators=(), outdated=(), news=None, extent=Extent.PART, same_as=None)
