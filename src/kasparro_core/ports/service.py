"""The storage ports of the service: what is kept beside the data. The promises of `storage` hold here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from kasparro_core.model.anomaly import Anomaly, AnomalyQuery, AnomalyState, Mute
from kasparro_core.model.drift import SchemaVersion
from kasparro_core.model.finding import DriftEvent, FindingQuery
from kasparro_core.model.service import (
    Amounts,
    ApiKey,
    Bound,
    Event,
    GivenAnswer,
    Prunable,
    Pruned,
    ScheduleState,
    Slot,
    Total,
)


class TotalsStore(Protocol):
    """Sums per source that no pruning lowers: what counters of metrics are made of."""

    async def add(self, source: str, amounts: Amounts, /) -> None:
        """Add to the sums of a source. Nothing is kept of an amount of 0."""
        ...

    async def list(self, source: str | None = None, /) -> Sequence[Total]:
        """All sums (of one source), by source, metric and label."""
        ...


class EventLog(Protocol):
    """Events for listeners in any process (the outbox)."""

    async def append(self, event: Event, /) -> None:
        """Add an event under the next event_id. The last thing done before the commit: from here on every other
        transaction that appends waits, which is what makes the order of ids the order of commits."""
        ...

    async def after(self, event_id: int, /, *, limit: int = 500) -> Sequence[Event]:
        """Up to `limit` events with a greater id, in ascending order."""
        ...

    async def last_id(self) -> int:
        """The highest event_id given out so far, 0 before the first."""
        ...


class KeyStore(Protocol):
    """Keys of the API, hashed."""

    async def add(self, key: ApiKey, /) -> None:
        """Keep a new key. Raises ConflictError when its name is taken, by a revoked one too."""
        ...

    async def list(self) -> Sequence[ApiKey]:
        """All keys by name, the revoked ones too."""
        ...

    async def revoke(self, name: str, at: datetime, /) -> bool:
        """Revoke a key. False when there is none of that name that still works."""
        ...


class ScheduleStore(Protocol):
    """Schedules and their slots. The database's clock says what is due, never the caller's."""

    async def now(self) -> datetime:
        """The database's clock."""
        ...

    async def list(self) -> Sequence[ScheduleState]:
        """All schedules, by source."""
        ...

    async def get(self, source: str, /) -> ScheduleState | None:
        """One schedule, or None."""
        ...

    async def due(self) -> Sequence[ScheduleState]:
        """The schedules whose next_at has come, paused ones left out, the longest waiting first."""
        ...

    async def add(self, state: ScheduleState, /) -> bool:
        """Add a schedule. False when the source has one already, which stays as it is."""
        ...

    async def put(self, state: ScheduleState, /) -> None:
        """Give a schedule another spec, slot_at and next_at. Whether it is paused stays as it is stored."""
        ...

    async def advance(self, seen: ScheduleState, /, *, slot_at: datetime | None, next_at: datetime | None) -> None:
        """Move on from the slot that was seen, if it still stands there unpaused: compare-and-set on next_at, slot_at
        and spec. Raises ConflictError if it does not."""
        ...

    async def pause(self, source: str, at: datetime | None, /) -> bool:
        """Pause since `at` (one that is paused keeps its instant), or with None go on. False when there is no such
        schedule."""
        ...

    async def record(self, slots: Sequence[Slot], /) -> None:
        """Note what became of slots, any number. Raises ConflictError if one is noted already."""
        ...

    async def slots(self, source: str, /, *, limit: int = 50) -> Sequence[Slot]:
        """The slots of a source, newest first."""
        ...


class AnswerStore(Protocol):
    """Answers to requests with an Idempotency-Key."""

    async def get(self, key: str, /) -> GivenAnswer | None:
        """The answer that was given under a key, or None."""
        ...

    async def put(self, answer: GivenAnswer, /) -> None:
        """Keep an answer. Raises ConflictError if there is one under its key."""
        ...


class FindingStore(Protocol):
    """What needs a person."""

    async def add_drift(self, events: Sequence[DriftEvent], /) -> None:
        """Keep changes of shape, each under the next drift_id (the given one does not count)."""
        ...

    async def drift(self, query: FindingQuery, /) -> Sequence[DriftEvent]:
        """Changes of shape, newest first."""
        ...

    async def add_anomalies(self, found: Sequence[Anomaly], /) -> Sequence[Anomaly]:
        """Keep findings, and return those that are to be told, with their ids.

        One of a run is new unless the run has it already. One of a record or a source is new unless it stands: that one
        takes its figures and grows, and keeps its state. What a mute covers is kept as muted, and not told; one that
        was muted and is covered no more opens, and is told. (Given ids and states do not count.)
        """
        ...

    async def anomalies(self, query: AnomalyQuery, /) -> Sequence[Anomaly]:
        """What stands out, newest first."""
        ...

    async def anomaly(self, anomaly_id: int, /) -> Anomaly | None:
        """One finding, or None."""
        ...

    async def standing(self, source: str, /) -> Sequence[Anomaly]:
        """All findings of a source that stand: of a record or of the source, not resolved. In the order of ids."""
        ...

    async def close(
        self,
        ids: Sequence[int],
        state: AnomalyState,
        at: datetime,
        /,
        *,
        by: str | None = None,
        note: str | None = None,
    ) -> int:
        """Bring those of them that may (see `AnomalyState.after`) to a state; return how many. Without `by` and `note`
        those that it has stay."""
        ...

    async def open_anomalies(self) -> Mapping[str, int]:
        """How many are open of each source that has any."""
        ...

    async def mutes(self, source: str | None = None, /) -> Sequence[Mute]:
        """All mutes (of one source), by source, metric and subject; those whose time is over too."""
        ...

    async def add_mute(self, mute: Mute, /) -> Mute:
        """Keep a mute, in the place of one of the same source, metric and subject; open findings that it covers become
        muted. Returns it with its id."""
        ...

    async def remove_mute(self, mute_id: int, /) -> bool:
        """Take a mute away; what it muted stays so until it is seen again. False when there is none of that id."""
        ...


class SchemaStore(Protocol):
    """The remembered shapes of sources, version by version."""

    async def newest(self, source: str, /, *, limit: int = 50) -> Sequence[SchemaVersion]:
        """Versions of a source, newest first."""
        ...

    async def save(self, version: SchemaVersion, /) -> None:
        """Insert a version, or put it in the place of the one with its number."""
        ...


class Retention(Protocol):
    """Pruning. What something kept still needs is never pruned.

    - raw: payloads that a checkpoint points into, that an open rejection came from, or that the newest read of their
      partition brought. The reads of a pruned payload stay, without raw_id; so do the records, whose raw_id leads
      nowhere. Its age is that of its newest read.
    - versions: by observed_at. runs: by finished_at, with their reads; never a running run, the newest run of a source,
      its newest success and failure, nor one with a read whose payload is still kept.
    - resolved_rejections: those that are resolved or dropped, by first_seen_at.
    - closed_anomalies: those that are not open, by last_seen_at. One that still stood is new when it is seen again.
    - records: by updated_at, with their versions. Only when asked.
    - events, answers, slots: by their instant; the newest slot of a source stays.

    Sizes are about the bytes of text and payloads; those of raw are exactly the packed payloads'. What is kept because
    it is needed counts towards `max_bytes`, in its place by age.
    """

    async def settle(self, what: Prunable, bound: Bound, /) -> Bound:
        """The bound, with `max_bytes` replaced by what it means now. That takes a look at every row: done once before
        many calls of `prune`, which does it each time otherwise."""
        ...

    async def prune(self, what: Prunable, bound: Bound, /, *, limit: int = 1000) -> Pruned:
        """Delete up to `limit` of the oldest rows outside the bound. Fewer than `limit` gone, and not `more`: nothing
        is left to do, but for what another transaction is busy with."""
        ...

    async def prunable(self, what: Prunable, bound: Bound, /) -> Pruned:
        """How much `prune` would delete in all."""
        ...
