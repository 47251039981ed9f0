"""The storage ports of what was read: raw payloads, runs and reads. The promises of `storage` hold here too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from kasparro_core.model.facts import PastRun, RunFacts
from kasparro_core.model.raw import BatchRead, PackedPayload, StoredRaw
from kasparro_core.model.run import Counters, LatestRuns, Run, RunQuery, RunStatus, Trigger


class RawStore(Protocol):
    """Raw payloads by content."""

    async def put(self, source: str, partition: str, packed: PackedPayload, /) -> int:
        """Store a payload, or find the same bytes with the same facts of this partition; returns its raw_id."""
        ...

    async def get(self, raw_id: int, /) -> StoredRaw | None:
        """A payload with its exact bytes, or None."""
        ...

    async def find(self, source: str, partition: str, identity: str, /) -> StoredRaw | None:
        """The payload of a partition with this `payload_identity`, or None."""
        ...


class RunLog(Protocol):
    """The ledger of runs and of their reads."""

    async def start(self, source: str, trigger: Trigger, started_at: datetime, /, *, resumes: int | None = None) -> Run:
        """Add a running run with zero counters."""
        ...

    async def add(self, run_id: int, delta: Counters, /) -> None:
        """Add to the counters of a running run. Raises ConflictError if the run is not running (it was taken over)."""
        ...

    async def record_read(self, read: BatchRead, /, *, counters: Counters) -> None:
        """Note a read under (run_id, partition, seq). The same three again add their counters, and what was refused,
        to the same row (slices of one payload)."""
        ...

    async def finish(
        self,
        run_id: int,
        status: RunStatus,
        finished_at: datetime,
        /,
        *,
        error_code: str | None = None,
        error: str | None = None,
    ) -> Run:
        """Give a running run its final state, and add it to the totals (records, runs, duration, requests, bytes,
        throttled) in the same breath. Raises ConflictError if it is not running."""
        ...

    async def get(self, run_id: int, /) -> Run | None:
        """One run, or None."""
        ...

    async def put_facts(self, run_id: int, facts: RunFacts, /) -> None:
        """Keep what is known of a run beside its counters, in place of what was kept before."""
        ...

    async def facts(self, run_id: int, /) -> RunFacts | None:
        """What is known of a run, or None."""
        ...

    async def history(self, source: str, /, *, before: int, limit: int = 200) -> Sequence[PastRun]:
        """The runs of a source that are over and have a run_id below `before`, newest first, whatever their end; not
        those OF_THE_PAST."""
        ...

    async def alike(
        self, source: str, spans: Sequence[tuple[datetime, datetime]], /, *, before: int, limit: int = 25
    ) -> Sequence[PastRun]:
        """Of the history, the runs that began in one of these spans (from the first instant on, up to the second): the
        newest `limit` of each, newest first. The cost does not depend on how long the history is."""
        ...

    async def reads(self, source: str, /, *, after: int = 0, limit: int = 500) -> Sequence[BatchRead]:
        """Up to `limit` reads of a source that have a raw payload and a `read_id` greater than `after`, in ascending
        read_id, which is the order in which they were committed."""
        ...

    async def listing(self, source: str, partition: str, /) -> Sequence[BatchRead]:
        """The reads of a partition, with or without payload, from the newest one on that was the FIRST of a listing, in
        the order in which they were made. None was: empty."""
        ...

    async def list(self, query: RunQuery, /) -> list[Run]:
        """Runs, newest first."""
        ...

    async def latest(self, source: str | None = None, /) -> Sequence[LatestRuns]:
        """The newest runs of every source that ever ran (of one source), by source; not those OF_THE_PAST."""
        ...
