"""What people look into: canonical things, changes of shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A change of a source's shape. `change`: added, removed, retyped, renamed or nullability; `path`: the field's
    dotted path; `before` and `after`: what was remembered and what was found; `action`: what the source's rule did."""

    drift_id: int
    source: str
    partition: str
    run_id: int
    detected_at: datetime
    change: str
    path: str
    before: str | None
    after: str | None
    confidence: Decimal | None
    action: str


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Filters of a listing of drift events, newest first, with an id below `before`."""

    source: str | None = None
    run_id: int | None = None
    before: int | None = None
    limit: int = 50
