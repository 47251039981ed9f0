"""What a store adds to the totals by itself: the same sums on every store."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from kasparro_core.model.rejection import Rejection
from kasparro_core.model.run import Run
from kasparro_core.model.service import DURATION_BOUNDS, Amounts, Metric

_MICROSECOND = timedelta(microseconds=1)
_LABELS = (*map(str, DURATION_BOUNDS), "+Inf")


def amounts_of_run(run: Run) -> Amounts:
    """What a finished run counted. Its clock may have been set back meanwhile: then it took no time."""
    if run.finished_at is None:
        raise ValueError(f"run {run.run_id} is not finished")
    took = max(0, (run.finished_at - run.started_at) // _MICROSECOND)
    counters = run.counters
    return {
        (Metric.RECORDS, "inserted"): counters.inserted,
        (Metric.RECORDS, "updated"): counters.updated,
        (Metric.RECORDS, "unchanged"): counters.unchanged,
        (Metric.RECORDS, "rejected"): counters.rejected,
        (Metric.RUNS, str(run.status)): 1,
        (Metric.DURATION, ""): took,
        (Metric.DURATION_BUCKET, duration_label(took)): 1,
        (Metric.REQUESTS, ""): counters.requests,
        (Metric.BYTES, ""): counters.bytes_fetched,
        (Metric.THROTTLED, ""): counters.throttled,
    }


def amounts_of_rejections(rejections: Iterable[Rejection]) -> Amounts:
    """How often each code was seen."""
    seen = Counter(rejection.code for rejection in rejections)
    return {(Metric.REJECTIONS, code): times for code, times in seen.items()}


def duration_label(microseconds: int) -> str:
    """The first of DURATION_BOUNDS that holds a duration, or "+Inf"."""
    return _LABELS[bisect_left(DURATION_BOUNDS, microseconds / 1_000_000)]
