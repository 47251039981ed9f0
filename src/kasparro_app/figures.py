"""Sums per source since the first run, as `/stats`, `/metrics` and `kasparro stats` give them.

The store adds a run to the totals in the transaction that finishes it; what a run under way has done so far stands in
its own row. Both are read in one transaction: a figure never goes down, and nothing is counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from kasparro_app.views import run_view
from kasparro_core.model import DURATION_BOUNDS, LatestRuns, Metric, Run, RunQuery, RunStatus
from kasparro_core.ports import UnitOfWork

OUTCOMES = ("inserted", "updated", "unchanged", "rejected")
RECENT = 100
"""So many of a source's newest runs say how long a run usually takes."""
_PAGE = 500
_MICROSECONDS = 1_000_000

Sums = Counter[tuple[Metric, str]]
"""Amounts by metric and label."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the ledger says at one instant, by source."""

    sums: Mapping[str, Sums]
    latest: Mapping[str, LatestRuns]
    running: Mapping[str, int]
    """How many runs are under way."""
    alarms: Mapping[str, int]
    """How many findings are open."""

    def whole(self) -> Sums:
        """The sums of all sources together."""
        whole: Sums = Counter()
        for sums in self.sums.values():
            whole.update(sums)
        return whole


async def read_ledger(work: UnitOfWork) -> Ledger:
    """Totals, newest runs, runs under way and open findings, of one transaction."""
    under_way = await _running(work)
    sums: dict[str, Sums] = {}
    for total in await work.totals.list():
        sums.setdefault(total.source, Counter())[total.metric, total.label] += total.value
    for run in under_way:
        sums.setdefault(run.source, Counter()).update(_so_far(run))
    latest = {each.source: each for each in await work.runs.latest()}
    alarms = await work.findings.open_anomalies()
    return Ledger(sums, latest, Counter(run.source for run in under_way), alarms)


async def _running(work: UnitOfWork) -> Sequence[Run]:
    found: list[Run] = []
    while True:
        before = found[-1].run_id if found else None
        page = await work.runs.list(RunQuery(status=RunStatus.RUNNING, before=before, limit=_PAGE))
        found += page
        if len(page) < _PAGE:
            return found


def _so_far(run: Run) -> dict[tuple[Metric, str], int]:
    """What a run under way will be added to the totals for, as far as it has come."""
    counters = run.counters
    return {
        **{(Metric.RECORDS, outcome): int(getattr(counters, outcome)) for outcome in OUTCOMES},
        (Metric.REQUESTS, ""): counters.requests,
        (Metric.BYTES, ""): counters.bytes_fetched,
        (Metric.THROTTLED, ""): counters.throttled,
    }


def labelled(sums: Sums, metric: Metric) -> dict[str, int]:
    """The amounts of one metric by label, in the order of labels."""
    return {label: value for (each, label), value in sorted(sums.items()) if each is metric}


def cumulated_buckets(sums: Sums) -> list[tuple[float, int]]:
    """How many finished runs took at most so many seconds, for each bound up to infinity."""
    counts = {float(label): value for label, value in labelled(sums, Metric.DURATION_BUCKET).items()}
    cumulated, seen = [], 0
    for bound in (*DURATION_BOUNDS, inf):
        seen += counts.get(bound, 0)
        cumulated.append((bound, seen))
    return cumulated


def at_share(sorted_values: Sequence[float], share: float) -> float | None:
    """The smallest value that so great a share of the values does not exceed (nearest rank). None: there are none."""
    return sorted_values[max(0, ceil(share * len(sorted_values)) - 1)] if sorted_values else None


def seconds_of(sums: Sums) -> float:
    """How long finished runs took in all."""
    return sums[Metric.DURATION, ""] / _MICROSECONDS


async def read_stats(work: UnitOfWork, configured: Iterable[str]) -> dict[str, Any]:
    """All sources together, and each that is configured or ever ran; of one transaction."""
    ledger = await read_ledger(work)
    known = set(configured)
    names = sorted({*known, *ledger.sums, *ledger.latest})
    recent = {name: await _recent(work, name) for name in names}
    newest = sorted(seconds for each in recent.values() for seconds in each)
    total = figures_view(ledger.whole(), sum(ledger.running.values()), ledger.latest.values(), newest)
    sources = [_source_view(ledger, name, recent[name], configured=name in known) for name in names]
    return {"total": total, "sources": sources}


def figures_view(sums: Sums, running: int, latest: Iterable[LatestRuns], recent: Sequence[float]) -> dict[str, Any]:
    """The sums of a source, or of several. `recent`: the seconds that the newest runs took, ascending."""
    records = {outcome: sums[Metric.RECORDS, outcome] for outcome in OUTCOMES}
    ended = {str(status): sums[Metric.RUNS, str(status)] for status in RunStatus if status is not RunStatus.RUNNING}
    newest = list(latest)
    return {
        "records": {"processed": sum(records.values()), **records},
        "runs": {"total": running + sum(ended.values()), "running": running, **ended},
        "durations": _durations(sums, recent),
        "bytes_fetched": sums[Metric.BYTES, ""],
        "requests": sums[Metric.REQUESTS, ""],
        "retries": sum(labelled(sums, Metric.RETRIES).values()),
        "throttled": sums[Metric.THROTTLED, ""],
        "rejections": labelled(sums, Metric.REJECTIONS),
        "last_success_at": _last(each.success for each in newest),
        "last_failure_at": _last(each.failure for each in newest),
    }


def _source_view(ledger: Ledger, name: str, recent: Sequence[float], *, configured: bool) -> dict[str, Any]:
    latest = ledger.latest.get(name)
    sums = ledger.sums.get(name, Counter())
    return {
        "source": name,
        "configured": configured,
        **figures_view(sums, ledger.running.get(name, 0), [latest] if latest else [], recent),
        "last_run": _run(latest.last if latest else None),
        "last_success": _run(latest.success if latest else None),
        "last_failure": _run(latest.failure if latest else None),
    }


async def _recent(work: UnitOfWork, name: str) -> list[float]:
    """How long the newest runs of a source took, ascending."""
    runs = await work.runs.list(RunQuery(source=name, limit=RECENT))
    return sorted((run.finished_at - run.started_at).total_seconds() for run in runs if run.finished_at is not None)


def _durations(sums: Sums, recent: Sequence[float]) -> dict[str, Any]:
    count = sum(labelled(sums, Metric.DURATION_BUCKET).values())
    return {
        "count": count,
        "mean_seconds": round(seconds_of(sums) / count, 6) if count else None,
        "p50_seconds": at_share(recent, 0.5),
        "p95_seconds": at_share(recent, 0.95),
    }


def _run(run: Run | None) -> dict[str, Any] | None:
    return None if run is None else run_view(run)


def _last(runs: Iterable[Run | None]) -> Any:
    ends = [run.finished_at for run in runs if run is not None and run.finished_at is not None]
    return max(ends, default=None)
