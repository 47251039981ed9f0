"""What was expected of the figures of a run, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kasparro_app.comparison import Compared, Usual
from kasparro_core.model import Anomaly
from kasparro_core.policy.baseline import Range

Value = Decimal | str | None


class Outlook(StrEnum):
    """What is to be said of a figure of run b: within what is expected, below or above it; of what has no amount,
    whether it is the same in both runs; unknown: nothing is expected of it, or it cannot be compared."""

    NORMAL = "normal"
    LOW = "low"
    HIGH = "high"
    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class Outlooks:
    """Those of run b. Of what is a finding the verdict is the finding's, whose range may be a narrower one: what strays
    twice in a row need not stray as far."""

    def __init__(self, usual: Usual | None = None, findings: Sequence[Anomaly] = ()) -> None:
        self._usual = usual
        self._findings = {f"{each.metric}:{each.subject}".rstrip(":"): each for each in findings}

    @classmethod
    def of(cls, compared: Compared) -> Outlooks:
        """Of run b and what was found in it."""
        run_id = compared.b.run.run_id
        return cls(compared.usual, [each for each in compared.anomalies if each.run_id == run_id])

    def view(self, metric: str) -> Mapping[str, Any]:
        """The members `expected` and `verdict` of a figure."""
        expected = self._usual.baseline.expected(metric) if self._usual is not None else None
        value = self._usual.figures.values.get(metric) if self._usual is not None else None
        shown = None if expected is None else _range_view(expected)
        finding = self._findings.get(metric)
        if finding is None:
            return {"expected": shown, "verdict": str(_beside(value, expected))}
        if shown is not None:
            shown |= {"low": finding.expected_low, "high": finding.expected_high}
        return {"expected": shown, "verdict": str(_of_finding(finding))}


def of_versions(a: Value, b: Value) -> Outlook:
    """What is to be said of something that has no amount."""
    if a is None or b is None:
        return Outlook.UNKNOWN
    return Outlook.SAME if a == b else Outlook.CHANGED


def _beside(value: Decimal | None, expected: Range | None) -> Outlook:
    if expected is None or value is None:
        return Outlook.UNKNOWN
    if expected.is_below(value):
        return Outlook.LOW
    return Outlook.HIGH if expected.is_above(value) else Outlook.NORMAL


def _of_finding(finding: Anomaly) -> Outlook:
    is_high = finding.expected_high is not None and finding.found > finding.expected_high
    return Outlook.HIGH if is_high else Outlook.LOW


def _range_view(expected: Range) -> dict[str, Any]:
    return {
        "low": expected.low,
        "high": expected.high,
        "usual": expected.centre,
        "samples": expected.samples,
        "basis": str(expected.basis),
    }
