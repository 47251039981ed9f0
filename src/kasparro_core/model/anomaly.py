"""What stands out: a run, a record or a source whose figure lies outside of what its past lets expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class AnomalyScope(StrEnum):
    """What stands out. A run is told of once for each metric and subject. What a record or a source shows *stands*
    until it is sound again: seen again meanwhile it grows, and is not told again."""

    RUN = "run"
    RECORD = "record"
    SOURCE = "source"


class AnomalyState(StrEnum):
    """open until a person has acknowledged it; muted: kept, and not told; resolved: stood, and is over."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    RESOLVED = "resolved"

    @property
    def after(self) -> frozenset[AnomalyState]:
        """The states that a finding may leave for this one. `resolved` is left for none: what comes back is another
        finding."""
        return _BEFORE[self]


_BEFORE = {
    AnomalyState.OPEN: frozenset({AnomalyState.MUTED}),
    AnomalyState.ACKNOWLEDGED: frozenset({AnomalyState.OPEN, AnomalyState.MUTED}),
    AnomalyState.MUTED: frozenset({AnomalyState.OPEN}),
    AnomalyState.RESOLVED: frozenset({AnomalyState.OPEN, AnomalyState.ACKNOWLEDGED, AnomalyState.MUTED}),
}


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A finding. `metric` is a word from the code, of which there are few; `subject` names the record's key, the entity
    or the field that it is about ("" for a whole run). The expected bounds are None where there is none on that side.
    `explanation` is one sentence for a person, `evidence` the numbers behind it (JSON values).

    `run_id` and `detected_at` are those of the run that found it first; the figures are those seen last, at
    `last_seen_at`, of `times` in all. `closed_at`: since when it is not open any more, `closed_by`: by whose word.
    """

    source: str
    run_id: int
    scope: AnomalyScope
    metric: str
    found: Decimal
    detected_at: datetime
    explanation: str
    subject: str = ""
    expected_low: Decimal | None = None
    expected_high: Decimal | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    state: AnomalyState = AnomalyState.OPEN
    times: int = 1
    last_seen_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str | None = None
    anomaly_id: int = 0

    @property
    def identity(self) -> tuple[str, int, str, str]:
        """What two findings share when they are the same one: source, run (0: it stands), metric and subject."""
        return self.source, self.run_id if self.scope is AnomalyScope.RUN else 0, self.metric, self.subject

    @property
    def stands(self) -> bool:
        """Whether another sighting would make it grow."""
        return self.scope is not AnomalyScope.RUN and self.state is not AnomalyState.RESOLVED


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """Filters of a listing of anomalies, newest first, with an id below `before`."""

    source: str | None = None
    run_id: int | None = None
    state: AnomalyState | None = None
    scope: AnomalyScope | None = None
    metric: str | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Mute:
    """What is not to be told of a source: this metric ("": every one) of this subject ("": every one), until an instant
    (None: until it is removed)."""

    source: str
    created_at: datetime
    metric: str = ""
    subject: str = ""
    until: datetime | None = None
    reason: str | None = None
    created_by: str | None = None
    mute_id: int = 0

    def covers(self, anomaly: Anomaly, at: datetime) -> bool:
        """Whether a finding that is seen at this instant is not to be told."""
        return (
            self.source == anomaly.source
            and self.metric in ("", anomaly.metric)
            and self.subject in ("", anomaly.subject)
            and (self.until is None or at < self.until)
        )
