"""What the service keeps beside the data: totals, events, keys, schedules, answers given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Metric(StrEnum):
    """What is summed up per source for ever; the label of each says what the amounts are kept apart by."""

    RECORDS = "records"
    """By outcome: inserted, updated, unchanged, rejected."""
    RUNS = "runs"
    """By final status."""
    DURATION_BUCKET = "duration_bucket"
    """Runs that took at most `label` seconds (a bound of DURATION_BOUNDS, or "+Inf"). Not cumulated: each run counts in
    the first bound that holds it."""
    DURATION = "duration"
    """Microseconds that finished runs took in all; label ""."""
    REQUESTS = "requests"
    """HTTP requests; label ""."""
    BYTES = "bytes"
    """Bytes fetched; label ""."""
    THROTTLED = "throttled"
    """Answers that said "too many requests"; label ""."""
    RETRIES = "retries"
    """By reason: "429", "5xx", "timeout", "connection" ..."""
    REJECTIONS = "rejections"
    """By code; refused items and noted values, each time they are seen."""
    DRIFT = "drift"
    """By change: added, removed, retyped, renamed, nullability."""
    ANOMALIES = "anomalies"
    """By the figure that stood out; each finding that was told."""
    GAPS = "gaps"
    """Feeds in which everything was new, so that items in between may be lost; label ""."""


DURATION_BOUNDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds (seconds) of the histogram of run durations."""

Amounts = Mapping[tuple[Metric, str], int]
"""What to add, by metric and label."""


@dataclass(frozen=True, slots=True)
class Total:
    """One sum: since the first run, never lowered, whatever is pruned."""

    source: str
    metric: Metric
    label: str
    value: int


class EventType(StrEnum):
    """What can be told to listeners."""

    RUN_STARTED = "run.started"
    BATCH_COMMITTED = "batch.committed"
    RUN_FINISHED = "run.finished"
    DRIFT = "drift"
    ANOMALY = "anomaly"
    FEED_GAP = "feed.gap"
    FEED_GONE = "feed.gone"
    FEED_MOVED = "feed.moved"
    RECORDS_GONE = "records.gone"
    GONE_REFUSED = "gone.refused"
    ENTITIES_MERGED = "entities.merged"
    ENTITIES_SPLIT = "entities.split"
    ENTITIES_UNDONE = "entities.undone"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, committed together with what it tells of. `data` holds JSON values; `source` is empty
    where it is about several.

    `event_id` grows in the order of commits (0: not stored yet), so that a listener who goes on after the last one he
    saw misses none.
    """

    type: EventType
    source: str
    run_id: int | None
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    event_id: int = 0


class Scope(StrEnum):
    """What a key may do: `read` reads, `trigger` also starts and pauses, `admin` may do everything."""

    READ = "read"
    TRIGGER = "trigger"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the API. `key_hash` is the SHA-256 (hex) of the key, which itself is never kept."""

    name: str
    scope: Scope
    key_hash: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """Where a source's schedule stands. `spec` is what the slots were computed from (schedule, time zone, jitter).

    `slot_at` is the next slot's nominal instant and `next_at` when it is due (jitter included); both None: no further
    slot ("manual"). `paused_at`: since when a person has paused it.
    """

    source: str
    spec: str
    slot_at: datetime | None = None
    next_at: datetime | None = None
    paused_at: datetime | None = None


class SlotState(StrEnum):
    """What became of a slot: `ran` (by `run_id`), `skipped` (see `SkipReason`), `missed` (nobody was there at its time;
    a later slot ran in its place)."""

    RAN = "ran"
    SKIPPED = "skipped"
    MISSED = "missed"


class SkipReason(StrEnum):
    """Why a slot was skipped: its predecessor `run_id` still ran, the source is gone (410) until a run by hand finds it
    again, or it asks not to be asked yet."""

    RUNNING = "running"
    GONE = "gone"
    NOT_DUE = "not_due"


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a schedule; there is exactly one row of each. `folded`: how many still older missed slots this row
    stands for. `reason`: a SkipReason, of a slot that was skipped."""

    source: str
    slot_at: datetime
    state: SlotState
    run_id: int | None = None
    folded: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer to a request that named an Idempotency-Key, kept so that the same request is answered the same.

    `request_hash` tells another request under the same key. `body` is the JSON text that was sent.
    """

    key: str
    request_hash: str
    status: int
    location: str | None
    body: str
    created_at: datetime


class Prunable(StrEnum):
    """What can be pruned. The first six are keys of `[retention]`; the others are the service's own."""

    RAW = "raw"
    VERSIONS = "versions"
    RUNS = "runs"
    RESOLVED_REJECTIONS = "resolved_rejections"
    CLOSED_ANOMALIES = "closed_anomalies"
    RECORDS = "records"
    EVENTS = "events"
    ANSWERS = "answers"
    SLOTS = "slots"


@dataclass(frozen=True, slots=True)
class Bound:
    """How much to keep. Exactly one is given; anything else is a ValueError.

    `before`: what is not older than this instant. `max_bytes`: the newest up to so many bytes. `through`: what is newer
    than the row with this instant and id; it is what a store makes of `max_bytes`.
    """

    before: datetime | None = None
    max_bytes: int | None = None
    through: tuple[datetime, int | str] | None = None

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.before, self.max_bytes, self.through)) != 1:
            raise ValueError(f"exactly one of before, max_bytes and through is given to a bound, not {self}")


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows, and about how many bytes of content, went (or would go). `more`: what hung on further rows was too
    much for one time, and they go the next time."""

    rows: int = 0
    bytes: int = 0
    more: bool = False
