"""Two runs side by side, as API and command line show it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

from kasparro_app.comparison import Compared
from kasparro_app.comparison_notes import notes
from kasparro_app.comparison_outlook import Outlooks, Value, of_versions
from kasparro_app.views import run_view
from kasparro_core.model import Anomaly, Counters, DriftEvent, PastRun, RunFacts
from kasparro_core.model.span import Fate

NULL_RATE = "null_rate:"

_WORDS = ("trigger", "status", "error_code", "error", "resumes")
_PLACES = Decimal("0.000001")
_DIGITS = 60


def comparison_view(compared: Compared) -> dict[str, Any]:
    """The comparison as it is shown."""
    a, b, outlooks = run_view(compared.a.run), run_view(compared.b.run), Outlooks.of(compared)
    return {
        "source": compared.a.run.source,
        "a": a,
        "b": b,
        "metrics": metric_views(compared.a, compared.b, outlooks),
        "null_rates": null_rate_views(compared.a, compared.b, outlooks),
        "changed": [word for word in _WORDS if a[word] != b[word]],
        "changed_fields": [_drift_view(event) for event in compared.drift],
        "records": _records_view(compared),
        "anomalies": [_anomaly_view(anomaly) for anomaly in compared.anomalies],
        "notes": notes(compared),
    }


def metric_views(a: PastRun, b: PastRun, outlooks: Outlooks) -> list[dict[str, Any]]:
    """Every figure of two runs: both values, their difference (b - a), their ratio (b / a), what was expected of b."""
    left, right = figures_of(a), figures_of(b)
    before, after = versions_of(a), versions_of(b)
    return [
        *({"metric": name, **_delta_view(left[name], right[name]), **outlooks.view(name)} for name in left),
        *(_version_view(name, before[name], after[name]) for name in before),
    ]


def null_rate_views(a: PastRun, b: PastRun, outlooks: Outlooks) -> list[dict[str, Any]]:
    """The same of how empty each path of the items was, by path."""
    known = [past.facts or RunFacts() for past in (a, b)]
    return [
        {
            "path": path,
            **_delta_view(*(facts.null_rate(path) for facts in known)),
            **outlooks.view(f"{NULL_RATE}{path}"),
        }
        for path in sorted({path for facts in known for path in facts.null_rates})
    ]


def figures_of(past: PastRun) -> dict[str, Decimal | None]:
    """The counters of a run, how fast it was answered, and what follows. None: there is no such figure (a run that is
    not over has no duration)."""
    run, facts = past
    counters, latency = run.counters, facts.latency if facts is not None else None
    took = run.finished_at - run.started_at if run.finished_at else None
    seconds = None if took is None else Decimal(str(took.total_seconds()))
    fetched = Decimal(counters.fetched)
    return {
        **{name: Decimal(count) for name, count in zip(Counters._fields, counters, strict=True)},
        "seconds": seconds,
        **{f"{name}_share": _ratio(fetched, Decimal(getattr(counters, name))) for name in _PARTS},
        "records_per_second": _ratio(seconds, fetched),
        "latency_p50": latency.p50 if latency is not None else None,
        "latency_p95": latency.p95 if latency is not None else None,
        "latency_max": latency.most if latency is not None else None,
    }


def versions_of(past: PastRun) -> dict[str, Value]:
    """What a run ran with; None where that is not known."""
    facts = past.facts
    if facts is None:
        return {"schema_version": None, "code_version": None}
    version = facts.schema_version
    return {"schema_version": None if version is None else Decimal(version), "code_version": facts.code_version}


_PARTS = ("inserted", "updated", "rejected")


def _delta_view(a: Decimal | None, b: Decimal | None) -> dict[str, Any]:
    return {"a": a, "b": b, "delta": None if a is None or b is None else b - a, "ratio": _ratio(a, b)}


def _version_view(name: str, a: Value, b: Value) -> dict[str, Any]:
    delta = b - a if isinstance(a, Decimal) and isinstance(b, Decimal) else None
    outlook = str(of_versions(a, b))
    return {"metric": name, "a": a, "b": b, "delta": delta, "ratio": None, "expected": None, "verdict": outlook}


def _ratio(base: Decimal | None, value: Decimal | None) -> Decimal | None:
    if not base or value is None:
        return None
    with localcontext(prec=_DIGITS):
        return (value / base).quantize(_PLACES).normalize()


def _records_view(compared: Compared) -> dict[str, Any] | None:
    if compared.fates is None:
        return None
    earlier, later = compared.in_order
    found = {str(fate): compared.fates.get(fate) for fate in Fate}
    fates = {name: {"count": of.count if of else 0, "keys": list(of.keys) if of else []} for name, of in found.items()}
    return {"from_run": earlier.run.run_id, "to_run": later.run.run_id, **fates}


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
        "anomaly_id": anomaly.anomaly_id,
        "run_id": anomaly.run_id,
        "metric": anomaly.metric,
        "subject": anomaly.subject,
        "found": anomaly.found,
        "expected_low": anomaly.expected_low,
        "expected_high": anomaly.expected_high,
        "explanation": anomaly.explanation,
        "state": str(anomaly.state),
    }
