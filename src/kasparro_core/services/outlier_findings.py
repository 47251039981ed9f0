"""Findings about records as they are collected: one by one, or as one where there are many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kasparro_core.model import Run
from kasparro_core.model.anomaly import Anomaly, AnomalyScope
from kasparro_core.policy.outlier_words import many

MOST_SINGLE = 20
"""Of more findings of one metric in one run a single one is told, about the source: they have one cause, and nobody
reads thousands."""

FEW_LEFT = MOST_SINGLE // 2
"""When a look at as many finds no more, what was told as one is over, and what is left is told singly: else the next
one would be lost among those that everybody knows."""

_EXAMPLES = 20
_AS_MANY = 0.9


class RecordMetric(StrEnum):
    """What can stand out about a record."""

    VALUE = "record_value"
    MARKET = "record_market"
    BEHIND = "record_behind"
    SILENT = "record_silent"
    BACKWARDS = "record_backwards"
    SPREAD = "spread"


class Findings:
    """What a run's records show. `standing`: what of its source stands."""

    def __init__(self, source: str, run: Run, at: datetime, standing: Iterable[Anomaly]) -> None:
        self.source = source
        self.run = run
        self.at = at
        self._found: defaultdict[RecordMetric, dict[str, Anomaly]] = defaultdict(dict)
        self._looked: defaultdict[RecordMetric, set[str]] = defaultdict(set)
        self._together = {each.metric: each for each in standing if not each.subject}

    def looked(self, metric: RecordMetric, subjects: Iterable[str]) -> None:
        """These were judged: what stood of them and is not found again is over."""
        self._looked[metric].update(subjects)

    def add(
        self,
        metric: RecordMetric,
        subject: str,
        found: Decimal,
        explanation: str,
        *,
        low: Decimal | None = None,
        high: Decimal | None = None,
        evidence: Mapping[str, Any],
    ) -> None:
        """Something stands out."""
        self._found[metric][subject] = Anomaly(
            source=self.source,
            run_id=self.run.run_id,
            scope=AnomalyScope.RECORD,
            metric=str(metric),
            found=found,
            detected_at=self.at,
            explanation=explanation,
            subject=subject,
            expected_low=low,
            expected_high=high,
            evidence=evidence,
        )

    def told(self) -> Sequence[Anomaly]:
        """All of them; of a metric with many, or whose many stand, one for the source."""
        told: list[Anomaly] = []
        for metric, found in self._found.items():
            singles = list(found.values())
            told += [self._as_one(metric, singles)] if self._are_many(metric) else singles
        return told

    def looked_at(self) -> Mapping[str, frozenset[str]]:
        """By metric what is over unless it is among those told. What is told as one leaves the single ones as they
        are."""
        looked: dict[str, frozenset[str]] = {}
        for metric, subjects in self._looked.items():
            found = self._found.get(metric, {})
            is_over = self._saw_as_many(metric) and not self._are_many(metric)
            together = frozenset([""]) if is_over else frozenset[str]()
            looked[str(metric)] = frozenset(subjects.difference(found) | together)
        return looked

    def _are_many(self, metric: RecordMetric) -> bool:
        found = len(self._found.get(metric, {}))
        if metric not in self._together:
            return found > MOST_SINGLE
        return found > (FEW_LEFT if self._saw_as_many(metric) else 0)

    def _saw_as_many(self, metric: RecordMetric) -> bool:
        """As many were looked at as when it was said that many stand out."""
        together = self._together.get(metric)
        looked = len(self._looked[metric].union(self._found.get(metric, {})))
        return together is None or looked >= _AS_MANY * together.evidence.get("looked", 0)

    def _as_one(self, metric: RecordMetric, singles: Sequence[Anomaly]) -> Anomaly:
        together = self._together.get(metric)
        looked = len(self._looked[metric].union(self._found[metric]))
        return Anomaly(
            source=self.source,
            run_id=self.run.run_id,
            scope=AnomalyScope.SOURCE,
            metric=str(metric),
            found=Decimal(len(singles)),
            expected_high=Decimal(MOST_SINGLE),
            detected_at=self.at,
            explanation=many(len(singles), looked, singles[0].explanation),
            evidence={
                "looked": max(looked, together.evidence.get("looked", 0) if together else 0),
                "subjects": [each.subject for each in singles[:_EXAMPLES]],
                "explanations": [each.explanation for each in singles[:3]],
            },
        )
