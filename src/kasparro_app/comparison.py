"""Two runs of one source side by side."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from kasparro_app.views import run_view
from kasparro_core.model import Anomaly, Counters, DriftEvent, FindingQuery, Run
from kasparro_core.ports import UnitOfWork

_WORDS = ("trigger", "status", "error_code", "error", "resumes")
_PLACES = Decimal("0.000001")
_DIGITS = 60
_MOST = 1000


class UnknownRunError(Exception):
    """There is no such run."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"There is no run {run_id}.")


class DifferentSourcesError(Exception):
    """Runs of two sources have nothing to be compared."""

    def __init__(self, a: Run, b: Run) -> None:
        super().__init__(
            f"Run {a.run_id} is of source {a.source!r} and run {b.run_id} of {b.source!r}: "
            "only runs of one source can be compared."
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs and what was found between them and in them."""

    a: Run
    b: Run
    drift: tuple[DriftEvent, ...]
    anomalies: tuple[Anomaly, ...]


async def compare_runs(work: UnitOfWork, a_id: int, b_id: int) -> Compared:
    """Read both runs and the findings. Raises UnknownRunError and DifferentSourcesError."""
    a, b = [await _run(work, run_id) for run_id in (a_id, b_id)]
    if a.source != b.source:
        raise DifferentSourcesError(a, b)
    anomalies = [
        each
        for run_id in dict.fromkeys((a_id, b_id))
        for each in await work.findings.anomalies(FindingQuery(run_id=run_id, limit=_MOST))
    ]
    low, high = sorted((a_id, b_id))
    drift = await work.findings.drift(FindingQuery(source=a.source, limit=_MOST))
    between = tuple(event for event in drift if low < event.run_id <= high)
    return Compared(a, b, between, tuple(anomalies))


async def _run(work: UnitOfWork, run_id: int) -> Run:
    run = await work.runs.get(run_id)
    if run is None:
        raise UnknownRunError(run_id)
    return run


def comparison_view(compared: Compared) -> dict[str, Any]:
    """The comparison as it is shown."""
    a, b = run_view(compared.a), run_view(compared.b)
    return {
        "source": compared.a.source,
        "a": a,
        "b": b,
        "metrics": metric_views(compared.a, compared.b),
        "changed": [word for word in _WORDS if a[word] != b[word]],
        "changed_fields": [_drift_view(event) for event in compared.drift],
        "anomalies": [_anomaly_view(anomaly) for anomaly in compared.anomalies],
    }


def metric_views(a: Run, b: Run) -> list[dict[str, Any]]:
    """Every figure of two runs: both values, their difference (b - a) and their ratio (b / a)."""
    left, right = figures_of(a), figures_of(b)
    return [_metric_view(name, left[name], right[name]) for name in left]


def figures_of(run: Run) -> dict[str, Decimal | None]:
    """The counters of a run, and what follows from them. None where nothing follows (a run that is not over)."""
    counters = run.counters
    took = run.finished_at - run.started_at if run.finished_at else None
    seconds = None if took is None else Decimal(str(took.total_seconds()))
    return {
        **{name: Decimal(count) for name, count in zip(Counters._fields, counters, strict=True)},
        "seconds": seconds,
        "rejected_share": _ratio(Decimal(counters.fetched), Decimal(counters.rejected)),
        "records_per_second": _ratio(seconds, Decimal(counters.fetched)),
    }


def _metric_view(name: str, a: Decimal | None, b: Decimal | None) -> dict[str, Any]:
    delta = None if a is None or b is None else b - a
    return {"metric": name, "a": a, "b": b, "delta": delta, "ratio": _ratio(a, b)}


def _ratio(base: Decimal | None, value: Decimal | None) -> Decimal | None:
    if not base or value is None:
        return None
    with localcontext(prec=_DIGITS):
        return (value / base).quantize(_PLACES).normalize()


def _drift_view(event: DriftEvent) -> dict[str, Any]:
    return {
        "path": event.path,
        "change": event.change,
        "before": event.before,
        "after": event.after,
        "run_id": event.run_id,
    }


def _anomaly_view(anomaly: Anomaly) -> dict[str, Any]:
    return {
        "run_id": anomaly.run_id,
        "metric": anomaly.metric,
        "found": anomaly.found,
        "expected_low": anomaly.expected_low,
        "expected_high": anomaly.expected_high,
    }
