"""What people look into: canonical things, changes of shape, runs that stand out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Entity:
    """The canonical thing several sources talk about. `merged_into`: it turned out to be that one."""

    entity_id: int
    kind: str
    symbol: str | None = None
    name: str | None = None
    merged_into: int | None = None


@dataclass(frozen=True, slots=True)
class EntityLink:
    """A source's own id for an entity, how it was found (`method`) and how sure that is (`confidence`, 0 to 1)."""

    source: str
    external_id: str
    entity_id: int
    method: str
    confidence: Decimal


@dataclass(frozen=True, slots=True)
class EntityQuery:
    """Filters of a listing of entities, in ascending entity_id, greater than `after`."""

    kind: str | None = None
    symbol: str | None = None
    q: str | None = None
    after: int | None = None
    limit: int = 50


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
class Anomaly:
    """A run whose figure lies outside of what its predecessors let expect."""

    anomaly_id: int
    source: str
    run_id: int
    metric: str
    found: Decimal
    expected_low: Decimal
    expected_high: Decimal
    detected_at: datetime


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Filters of a listing of drift events or anomalies, newest first, with an id below `before`."""

    source: str | None = None
    run_id: int | None = None
    before: int | None = None
    limit: int = 50
