"""What stands out, and what of it is not to be told, as API, pages and command line show it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from kasparro_core.model import Anomaly, Mute
from kasparro_core.policy.anomaly import JUDGED
from kasparro_core.services.outliers import RecordMetric

KNOWN_METRICS = tuple(sorted({*JUDGED, *map(str, RecordMetric)}))
"""The metrics that a finding can have, of runs and of records."""


def anomaly_view(anomaly: Anomaly) -> dict[str, Any]:
    """A finding: what it says, the numbers behind it, what has become of it."""
    return {
        "anomaly_id": anomaly.anomaly_id,
        "source": anomaly.source,
        "run_id": anomaly.run_id,
        "scope": str(anomaly.scope),
        "metric": anomaly.metric,
        "subject": anomaly.subject,
        "found": anomaly.found,
        "expected_low": anomaly.expected_low,
        "expected_high": anomaly.expected_high,
        "explanation": anomaly.explanation,
        "evidence": dict(anomaly.evidence),
        "state": str(anomaly.state),
        "times": anomaly.times,
        "detected_at": anomaly.detected_at,
        "last_seen_at": anomaly.last_seen_at,
        "closed_at": anomaly.closed_at,
        "closed_by": anomaly.closed_by,
        "note": anomaly.note,
    }


def mute_view(mute: Mute, now: datetime) -> dict[str, Any]:
    """A mute, and whether it holds."""
    return {**asdict(mute), "in_effect": mute.until is None or now < mute.until}
