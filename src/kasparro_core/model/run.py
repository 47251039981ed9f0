"""Runs: one execution over one source, and its counters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple


class RunStatus(StrEnum):
    """running → succeeded | unchanged | degraded | failed | interrupted. `unchanged`: success that wrote nothing."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    DEGRADED = "degraded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


SUCCESSES = frozenset({RunStatus.SUCCEEDED, RunStatus.UNCHANGED, RunStatus.DEGRADED})
FAILURES = frozenset({RunStatus.FAILED, RunStatus.INTERRUPTED})


class Trigger(StrEnum):
    """What started a run."""

    CLI = "cli"
    SCHEDULE = "schedule"
    API = "api"
    REPLAY = "replay"
    BACKFILL = "backfill"
    RECOVERY = "recovery"


OF_THE_PAST = frozenset({Trigger.REPLAY, Trigger.BACKFILL})
"""Runs that do not ask a source how things are now: they say nothing about how fresh its data is."""


class Counters(NamedTuple):
    """What a run did. Always: fetched = inserted + updated + unchanged + rejected."""

    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    batches: int = 0
    bytes_fetched: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0

    def plus(self, other: Counters) -> Counters:
        """The sums, field by field."""
        return Counters(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def add_up(self) -> bool:
        """True when every item that came in is accounted for, and none twice."""
        return self.fetched == self.inserted + self.updated + self.unchanged + self.rejected

    @property
    def changed_nothing(self) -> bool:
        """True when nothing was inserted, updated or rejected."""
        return not (self.inserted or self.updated or self.rejected)


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the ledger. `resumes` is the run that this one took over, if any."""

    run_id: int
    source: str
    trigger: Trigger
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None = None
    counters: Counters = Counters()
    error_code: str | None = None
    error: str | None = None
    resumes: int | None = None


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Filters of a listing of runs, newest first, with a run_id below `before`."""

    source: str | None = None
    status: str | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class LatestRuns:
    """The newest runs of one source, but for those OF_THE_PAST. Success: succeeded, unchanged or degraded; failure:
    failed or interrupted."""

    source: str
    last: Run
    success: Run | None = None
    failure: Run | None = None

    @classmethod
    def among(cls, runs: Iterable[Run]) -> LatestRuns:
        """Of runs of one source, at least one: the newest of each status, or more."""
        *_, last = ordered = sorted(runs, key=attrgetter("run_id"))
        success = [run for run in ordered if run.status in SUCCESSES]
        failure = [run for run in ordered if run.status in FAILURES]
        return cls(last.source, last, success[-1] if success else None, failure[-1] if failure else None)
