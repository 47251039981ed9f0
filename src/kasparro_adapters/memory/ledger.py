"""Raw payloads, runs and their reads in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import attrgetter

from kasparro_adapters.memory.service import MemoryTotals
from kasparro_adapters.memory.tables import PayloadRow, ReadRow, Transaction
from kasparro_core.errors import ConflictError
from kasparro_core.model import (
    BatchRead,
    Counters,
    Extent,
    LatestRuns,
    PackedPayload,
    RawPayload,
    Run,
    RunQuery,
    RunStatus,
    StoredRaw,
    Trigger,
    unpack,
)
from kasparro_core.model.facts import PastRun, RunFacts
from kasparro_core.model.run import OF_THE_PAST
from kasparro_core.model.totals import amounts_of_run

_source = attrgetter("source")


class MemoryRaw:
    """The RawStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def put(self, source: str, partition: str, packed: PackedPayload, /) -> int:
        """Store a payload once per (source, partition, content, facts)."""
        identity = (source, partition, packed.content_hash, packed.facts_hash)
        known = self._tx.payload_ids.get(identity)
        if known is not None:
            return known
        raw_id = self._tx.next("payloads")
        self._tx.payload_ids.put(identity, raw_id)
        self._tx.payloads.put(raw_id, PayloadRow(raw_id, source, partition, packed))
        return raw_id

    async def get(self, raw_id: int, /) -> StoredRaw | None:
        """A payload with its exact bytes, or None."""
        row = self._tx.payloads.get(raw_id)
        if row is None:
            return None
        packed = row.packed
        raw = RawPayload(unpack(packed.codec, packed.packed), json.loads(packed.decode_facts))
        return StoredRaw(raw_id, row.source, row.partition, packed.content_hash, raw, packed.record_count)

    async def find(self, source: str, partition: str, identity: str, /) -> StoredRaw | None:
        """The payload of a partition with this identity, or None."""
        content, _, facts = identity.partition(":")
        raw_id = self._tx.payload_ids.get((source, partition, content, facts))
        return None if raw_id is None else await self.get(raw_id)


class MemoryRuns:
    """The RunLog of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction
        self._totals = MemoryTotals(transaction)

    async def start(self, source: str, trigger: Trigger, started_at: datetime, /, *, resumes: int | None = None) -> Run:
        """Add a running run."""
        run_id = self._tx.next("runs")
        run = Run(run_id, source, trigger, RunStatus.RUNNING, started_at.astimezone(UTC), resumes=resumes)
        self._tx.runs.put(run_id, run)
        return run

    async def add(self, run_id: int, delta: Counters, /) -> None:
        """Add to the counters of a running run."""
        run = self._running(run_id)
        self._tx.runs.put(run_id, replace(run, counters=run.counters.plus(delta)))

    async def record_read(self, read: BatchRead, /, *, counters: Counters) -> None:
        """Note a read; further slices of it add their counters."""
        place = (read.run_id, read.partition, read.seq)
        known = self._tx.reads.get(place)
        if known is None:
            read_id = self._tx.next("reads")
            known = ReadRow(replace(read, read_id=read_id, observed_at=read.observed_at.astimezone(UTC)), Counters())
        elif read.refused and known.read.refused is not None:
            known = known._replace(read=replace(known.read, refused=known.read.refused + read.refused))
        self._tx.reads.put(place, known._replace(counters=known.counters.plus(counters)))

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
        """Give a running run its final state, and add it to the totals."""
        run = replace(
            self._running(run_id),
            status=status,
            finished_at=finished_at.astimezone(UTC),
            error_code=error_code,
            error=error,
        )
        self._tx.runs.put(run_id, run)
        await self._totals.add(run.source, amounts_of_run(run))
        return run

    async def get(self, run_id: int, /) -> Run | None:
        """One run, or None."""
        return self._tx.runs.get(run_id)

    async def put_facts(self, run_id: int, facts: RunFacts, /) -> None:
        """Keep what is known of a run."""
        self._tx.run_facts.put(run_id, facts)

    async def facts(self, run_id: int, /) -> RunFacts | None:
        """What is known of a run, or None."""
        return self._tx.run_facts.get(run_id)

    async def history(self, source: str, /, *, before: int, limit: int = 200) -> Sequence[PastRun]:
        """The runs of a source that are over, newest first."""
        return [self._with_facts(run) for run in self._ended(source, before)[:limit]]

    async def alike(
        self, source: str, spans: Sequence[tuple[datetime, datetime]], /, *, before: int, limit: int = 25
    ) -> Sequence[PastRun]:
        """Those that began in one of these spans."""
        ended = self._ended(source, before)
        found = [[run for run in ended if start <= run.started_at < end][:limit] for start, end in spans]
        newest = sorted({run.run_id: run for some in found for run in some}.items(), reverse=True)
        return [self._with_facts(run) for _, run in newest]

    def _ended(self, source: str, before: int) -> list[Run]:
        """Newest first."""
        ended = (run for run in self._tx.runs.rows() if run.source == source and run.finished_at is not None)
        earlier = [run for run in ended if run.run_id < before and run.trigger not in OF_THE_PAST]
        return sorted(earlier, key=attrgetter("run_id"), reverse=True)

    def _with_facts(self, run: Run) -> PastRun:
        return PastRun(run, self._tx.run_facts.get(run.run_id))

    async def reads(self, source: str, /, *, after: int = 0, limit: int = 500) -> list[BatchRead]:
        """Reads with a payload in ascending read_id, greater than `after`."""
        found = (
            row.read
            for row in self._tx.reads.rows()
            if row.read.read_id > after and row.read.raw_id is not None and self._source(row.read.run_id) == source
        )
        return list(islice(found, limit))

    async def listing(self, source: str, partition: str, /) -> list[BatchRead]:
        """The reads of a partition from the newest FIRST of a listing on."""
        found = [row.read for row in self._tx.reads.rows() if row.read.partition == partition]
        reads = sorted((read for read in found if self._source(read.run_id) == source), key=attrgetter("run_id", "seq"))
        begin = max((at for at, read in enumerate(reads) if Extent.FIRST in read.extent), default=len(reads))
        return reads[begin:]

    async def list(self, query: RunQuery, /) -> list[Run]:
        """Runs, newest first."""
        runs = [
            run
            for run in self._tx.runs.rows()
            if query.source in (None, run.source)
            and query.status in (None, run.status)
            and (query.before is None or run.run_id < query.before)
        ]
        return sorted(runs, key=attrgetter("run_id"), reverse=True)[: query.limit]

    async def latest(self, source: str | None = None, /) -> Sequence[LatestRuns]:
        """The newest runs by source."""
        of_now = (run for run in self._tx.runs.rows() if run.trigger not in OF_THE_PAST)
        runs = sorted((run for run in of_now if source in (None, run.source)), key=_source)
        return [LatestRuns.among(of_source) for _, of_source in groupby(runs, key=_source)]

    def _running(self, run_id: int) -> Run:
        run = self._tx.runs.get(run_id)
        if run is None or run.status is not RunStatus.RUNNING:
            state = "does not exist" if run is None else f"is {run.status}"
            raise ConflictError(f"run {run_id} was expected to be running, but it {state}.")
        return run

    def _source(self, run_id: int) -> str | None:
        run = self._tx.runs.get(run_id)
        return None if run is None else run.source
