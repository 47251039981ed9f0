"""The storage ports of the data: records, positions, ownership; `ledger` has those of what was read. `unit` ties them
together.

Promises that hold for every method of every store:

- Nothing is visible to others before `commit`; leaving the context without it rolls everything back.
- Times are aware UTC with microseconds, Decimals are exact, both ways.
- Driver errors come out as StorageError (transient or permanent) or ConflictError; programming errors as they are.
- A unit of work belongs to one task; units of work of several tasks may be open at once (a store with one writer makes
  them wait for one another).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from kasparro_core.errors import UnstorableError
from kasparro_core.model.batch import Cursor, Validator
from kasparro_core.model.checkpoint import Checkpoint, Lease, PartitionState
from kasparro_core.model.entity import AssetId
from kasparro_core.model.listing import Present
from kasparro_core.model.record import (
    EVERY_RECORD,
    NEWEST_FIRST,
    Observation,
    Order,
    Place,
    PreparedRecord,
    RecordQuery,
    RecordVersion,
    StoredRecord,
    UpsertOutcome,
)
from kasparro_core.model.rejection import Rejection, RejectionQuery, StoredRejection
from kasparro_core.model.span import Fate, Keys, Span


class RecordRepository(Protocol):
    """The records: one row per (source, key), and their earlier versions."""

    async def upsert(self, records: Sequence[PreparedRecord], observation: Observation, /) -> UpsertOutcome:
        """Bring the records in, in the given order, any number of them.

        Per record: unknown key: inserted. Same content_hash as stored: unchanged, nothing at all is written.
        The same place (observed_at, raw_id, raw_index) as stored with other content is the same observation read by
        other rules (a replay): it replaces the state and leaves no version (updated). Without raw_id no place is the
        same as another. Otherwise the observations are ordered (see `supersedes` in `kasparro_core.model.order`): a
        newer one replaces the state (updated; with history the state it replaces becomes a version); an older one
        becomes a version with history (updated), or changes nothing (unchanged). An older one whose place is known
        replaces that version if its content differs (updated); one from an unknown place whose content_hash is among
        the versions is unchanged.
        A record that is gone and seen at or after its `gone_at` is present again: with the same content_hash, too
        (updated; revision and updated_at stay). Seen before it (a replay), it stays gone, whatever is written of it.
        A key given twice is treated as two records one after the other. All records belong to observation.source.
        """
        ...

    async def present(
        self, source: str, before: datetime, /, *, after: int = 0, limit: int = 10_000, gone: bool = False
    ) -> Sequence[Present]:
        """Up to `limit` records of a source that are not gone, in ascending record_id, greater than `after`; with each,
        whether it stood `before` that instant. With `gone` those that are gone instead."""
        ...

    async def mark_gone(self, record_ids: Sequence[int], at: datetime, /) -> int:
        """Set `gone_at` of those of these records, any number, that are not gone, and move their change_seq; the rest
        of them stays as it is. Returns how many."""
        ...

    async def upsert_apart(
        self, records: Sequence[PreparedRecord], observation: Observation, /
    ) -> tuple[UpsertOutcome, Sequence[tuple[PreparedRecord, UnstorableError]]]:
        """As `upsert`, but what the database refuses is left out and returned, in the given order, each with why. The
        unit of work can be used further. Takes longer, so it is for records that `upsert` could not bring in."""
        ...

    async def get(self, record_id: int, /) -> StoredRecord | None:
        """One record, or None."""
        ...

    async def page(self, query: RecordQuery, /, *, after: int | None = None, limit: int = 1000) -> list[StoredRecord]:
        """Up to `limit` matching records in ascending record_id, greater than `after`."""
        ...

    async def fates(self, span: Span, /, *, keys: int = 20) -> Mapping[Fate, Keys]:
        """What became of the records of a source in a span (see `fate_of` in `kasparro_core.model.span`), with up to
        so many keys for each fate that there was. The cost grows with what was written since the earlier run, where the
        span has its `after_seq`; else with all records of the source."""
        ...

    async def latest(self, assets: Sequence[AssetId], /) -> list[StoredRecord]:
        """Of each of these assets, any number, the record that occurred last, by (occurred_at, record_id); one without
        occurred_at where there is no other. In the order of source and external_id; what has none is left out."""
        ...

    async def versions(self, record_id: int, /, *, limit: int | None = None) -> list[RecordVersion]:
        """Earlier versions (at most `limit`), latest first by (occurred_at, observed_at, place in the payloads)."""
        ...

    async def select(
        self,
        query: RecordQuery,
        /,
        *,
        order: Order = NEWEST_FIRST,
        after: Place | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> list[StoredRecord]:
        """Up to `limit` matching records in this order, behind `after`, leaving out the first `offset`.

        The cost of a page does not depend on how far `after` lies, for an order and for each of source, kind and
        symbol beside it.
        """
        ...

    async def changes(self, query: RecordQuery, /, *, after_seq: int, limit: int = 50) -> list[StoredRecord]:
        """Up to `limit` matching records in ascending change_seq, greater than `after_seq`: the change feed."""
        ...

    async def last_change(self) -> int:
        """The highest change_seq given out so far, 0 before the first. change_seq grows in the order of commits:
        whatever commits later than this transaction's view has a higher one."""
        ...

    async def count(self, query: RecordQuery = EVERY_RECORD, /) -> int:
        """How many records match, exactly."""
        ...

    async def estimate(self, query: RecordQuery = EVERY_RECORD, /) -> int:
        """About how many records match, in bounded time."""
        ...


class CheckpointStore(Protocol):
    """Positions, guarded by compare-and-set. A stored cursor that is no JSON object (edited by hand) is told as
    `cursor_of` in `kasparro_core.model` tells it, and never as an error: it can be listed and replaced."""

    async def get(self, source: str, partition: str, /) -> Checkpoint | None:
        """The checkpoint, or None."""
        ...

    async def save(
        self,
        source: str,
        partition: str,
        cursor: Cursor,
        /,
        *,
        expected_version: int,
        run_id: int | None,
        at: datetime,
    ) -> Checkpoint:
        """Replace the cursor if the stored version is `expected_version` (0: there is none yet).

        Raises ConflictError if it is not.
        """
        ...

    async def list(self, source: str | None = None, /) -> list[Checkpoint]:
        """All checkpoints (of one source) by source and partition."""
        ...


class PartitionStore(Protocol):
    """How each partition did last."""

    async def save(self, state: PartitionState, /) -> None:
        """Insert or replace."""
        ...

    async def list(self, source: str | None = None, /) -> list[PartitionState]:
        """All partitions (of one source)."""
        ...


class RejectionStore(Protocol):
    """Refused items and noted values."""

    async def add(
        self,
        source: str,
        partition: str,
        run_id: int,
        raw_id: int | None,
        rejections: Sequence[Rejection],
        at: datetime,
        /,
        *,
        again: bool = True,
    ) -> None:
        """Keep them, any number. One that is known by (source, partition, stage, code, path, payload hash) grows
        `times` and, if it was resolved, is open again, with the run, the payload and the place that it now comes from.
        With `again=False` (a replay, which sees the same item and not another one) `times` stays, and a resolved one
        opens only if what closed it was observed before `at`. Either way `last_seen_at` never goes back. A path of more
        than 500 bytes is kept as its beginning and a hash."""
        ...

    async def resolve(self, source: str, keys: Sequence[str], at: datetime, /, *, again: bool = True) -> int:
        """Mark open rejections with one of these record keys as resolved by what was observed at `at`; returns how
        many. With `again=False` (a replay) those that were seen after it stay open."""
        ...

    async def settle(self, raw_id: int, items: Collection[int], still: Sequence[Rejection], /) -> int:
        """Mark the open rejections that point to one of these items of a payload as resolved, but for those that are
        `still` refused or noted; returns how many. What closed them counts as observed when they were seen last."""
        ...

    async def drop(self, ids: Sequence[int], at: datetime, /) -> int:
        """Mark those of these rejections that are open as dropped; returns how many. A dropped one stays dropped when
        it is seen again."""
        ...

    async def get(self, rejection_id: int, /) -> StoredRejection | None:
        """One rejection, or None."""
        ...

    async def list(self, query: RejectionQuery, /) -> list[StoredRejection]:
        """Rejections, newest first."""
        ...


class ValidatorStore(Protocol):
    """What makes requests conditional."""

    async def load(self, source: str, partition: str, /) -> Mapping[str, Validator]:
        """All validators of a partition by request_hash."""
        ...

    async def save(self, source: str, partition: str, validators: Sequence[Validator], /) -> None:
        """Insert or replace by request_hash."""
        ...

    async def forget(self, source: str, partition: str, requests: Sequence[str] | None = None, /) -> int:
        """Remove the validators of these request_hashes (None: all) of a partition; returns how many there were."""
        ...


class LeaseStore(Protocol):
    """Ownership. Expiry is judged by the database's clock, never by the caller's."""

    async def get(self, source: str, partition: str, /) -> Lease | None:
        """The lease with `expired` as the database sees it now, or None."""
        ...

    async def take(self, source: str, partition: str, /, *, owner: str, ttl: float, seen: Lease | None) -> Lease:
        """Make `owner` the holder for `ttl` seconds, with a token one higher than that of the lease as it was `seen`
        (None: no row yet).

        The caller has made sure that the holder it saw is gone. Raises ConflictError if the lease has changed since:
        taken by another, released, or renewed by a holder that was only slow.
        """
        ...

    async def renew(self, lease: Lease, /, *, ttl: float) -> Lease:
        """Check the fence and extend. Raises ConflictError if the token is no longer this lease's. An expired lease
        that nobody took is still ours."""
        ...

    async def attach(self, lease: Lease, run_id: int, /) -> Lease:
        """Note the run that holds the lease."""
        ...

    async def release(self, lease: Lease, /) -> None:
        """Give it up (the row stays, expired and without run, so that tokens keep growing). No error if lost."""
        ...
