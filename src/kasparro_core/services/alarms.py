"""Findings are kept, counted and told, in the unit of work that ends the run which made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kasparro_core.model import Event, EventType, Metric, Run
from kasparro_core.model.anomaly import Anomaly, AnomalyState
from kasparro_core.ports import UnitOfWork

MOST_TOLD = 100
"""Of more findings at once the stream of events tells so many; /anomalies has all."""

UNFORESEEN = (ArithmeticError, LookupError, TypeError, ValueError)
"""What judging may raise over figures that nobody thought of. A run does not fail because it could not be judged: its
data is good, and would be refused again in every run to come."""

Looked = Callable[[str, str], bool]
"""Whether this metric of this subject was looked at, so that it would have been found again if it still stood out."""


async def tell(
    work: UnitOfWork, found: Sequence[Anomaly], run: Run, at: datetime, *, looked: Looked | None = None
) -> list[Event]:
    """Keep findings, and return what is to be told of them: the caller appends it last, and tells its observer.

    What of the run's source stood until now, was `looked` at and is not among the findings, is over: it is resolved,
    and told again when it comes back. Without `looked` nothing is.
    """
    if looked is not None:
        await _resolve(work, found, run.source, at, looked)
    told = await work.findings.add_anomalies(found) if found else ()
    for source, counts in _counted(told).items():
        await work.totals.add(source, {(Metric.ANOMALIES, metric): count for metric, count in counts.items()})
    return [_event(each, at) for each in told[:MOST_TOLD]]


async def _resolve(work: UnitOfWork, found: Sequence[Anomaly], source: str, at: datetime, looked: Looked) -> None:
    again = {each.identity for each in found}
    standing = await work.findings.standing(source)
    over = [each.anomaly_id for each in standing if each.identity not in again and looked(each.metric, each.subject)]
    if over:
        await work.findings.close(over, AnomalyState.RESOLVED, at)


def _counted(told: Sequence[Anomaly]) -> Mapping[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for each in told:
        counts.setdefault(each.source, Counter())[each.metric] += 1
    return counts


def _event(anomaly: Anomaly, at: datetime) -> Event:
    return Event(EventType.ANOMALY, anomaly.source, anomaly.run_id, at, told_view(anomaly))


def told_view(anomaly: Anomaly) -> dict[str, Any]:
    """What is told of a finding: JSON values."""
    return {
        "anomaly_id": anomaly.anomaly_id,
        "scope": str(anomaly.scope),
        "metric": anomaly.metric,
        "subject": anomaly.subject,
        "found": anomaly.found,
        "expected_low": anomaly.expected_low,
        "expected_high": anomaly.expected_high,
        "explanation": anomaly.explanation,
        "evidence": dict(anomaly.evidence),
    }
