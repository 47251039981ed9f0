"""Gone at the source: what a complete listing did not show is marked, unless that is so much that the listing is not to
be believed.

A listing is compared with the records when it has ended, after its last batch is committed and before the run's end.
Until then nothing says that it was: whoever dies in between leaves it to the next run, which compares its own listing,
or this one where it has none. What says so is `PartitionState.listing`: the version of the checkpoint, so that anything
read since is noticed, and the digest of the payloads, so that the same ones need no second look.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from kasparro_core.model import (
    NOTHING,
    SLICE_ROWS,
    Checkpoint,
    Counters,
    Departed,
    Event,
    Extent,
    Observation,
    PreparedRecord,
    Present,
    RecordQuery,
    Run,
    RunStatus,
)
from kasparro_core.normalize.canonical import content_hash
from kasparro_core.ports import Clock, Observer, Store
from kasparro_core.services.events import batch_committed, records_gone
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.keyset import KeySet
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.listed import Ledger, Listing
from kasparro_core.services.outcome import Verdict
from kasparro_core.services.prepare import PreparedBatch
from kasparro_core.services.steps import retried

_log = logging.getLogger("kasparro.gone")


class Compared(NamedTuple):
    """What the records were last compared with: everything up to this version of the checkpoint, and the digest of the
    listing, which stands for its payloads and the mapping (None: it cannot be known again)."""

    version: int
    digest: str | None

    @classmethod
    def before(cls, stored: str | None, checkpoint: Checkpoint | None) -> Compared | None:
        """From its text, if nothing was committed since."""
        version, _, digest = (stored or "").partition(" ")
        known = version == str(checkpoint.version if checkpoint else 0)
        return cls(int(version), digest or None) if known else None

    def __str__(self) -> str:
        return f"{self.version} {self.digest or ''}"


class RollCall:
    """Watches one partition being read, the whole of a source, and says at its end what was not there.

    `known` is what the records were compared with before the run; None: not with all that had been read, or it is not
    to count. `compared` is what `PartitionState.listing` is to hold at the run's end; None where that is to stay.
    `gained` counts what was brought back because a page that came without a body holds it.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        observer: Observer,
        job: SourceJob,
        run: Run,
        lease: LeaseKeeper,
        ledger: Ledger,
        known: Compared | None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._job = job
        self._run = run
        self._lease = lease
        self._ledger = ledger
        self._known = known
        self._listing: Listing | None = None
        self._adds_nothing = True
        self.compared: str | None = None
        self.gained = Counters()

    def saw(self, prepared: PreparedBatch, at: datetime) -> None:
        """A batch is committed that was observed at this instant."""
        self._adds_nothing &= prepared.batch.same_as == NOTHING
        if Extent.FIRST in prepared.batch.extent:
            self._listing = Listing(at, at, own=True, digest=content_hash(self._job.mapping.model_dump_json()))
        if self._listing is not None:
            self._listing.read(prepared, at)

    async def end(self, version: int, rejected: int) -> Departed | None:
        """The partition was read to its end, which left the checkpoint at this version, with so many items refused.
        None: there was nothing to compare, or no telling from it."""
        listing = self._listing
        if listing is None and self._known is not None:  # nothing, a tail, or what was there before
            self.compared = str(Compared(version, self._known.digest if self._adds_nothing else None))
            return None
        if listing is None:
            listing = await self._ledger.newest()
        if listing is None:
            self.compared = str(Compared(version, None))
        if listing is None or not listing.ended:
            return None
        digest = listing.digest
        if digest is not None and self._known is not None and self._known.digest == digest:
            self.compared = str(Compared(version, digest))
            return None
        departed = await self._call(listing, every_key_loaded=listing.own and not listing.stored and not rejected)
        if departed is not None and not departed.refused:
            self.compared = str(Compared(version, digest))
        return departed

    async def _call(self, listing: Listing, *, every_key_loaded: bool) -> Departed | None:
        await self._complete(listing)
        fault = listing.fault or ("rows moved from page to page while it was read" if listing.moved else None)
        if fault is not None:
            _log.debug("source %s: nothing is marked as gone by this listing: %s", self._job.name, fault)
            return None
        if every_key_loaded and await self._are_as_many(listing):
            return Departed(0, 0, 0, self._job.mark_gone_max)
        missing, stood = await self._missing(listing)
        departed = Departed(len(missing), stood, 0, self._job.mark_gone_max)
        if departed.refused:
            return departed
        for start in range(0, len(missing), SLICE_ROWS):
            part = missing[start : start + SLICE_ROWS]
            event = await retried(self._clock, partial(self._mark, part, listing.at))
            if event.data["count"]:
                self._observer.noted(self._run, event)
        return departed._replace(marked=len(missing))

    async def _complete(self, listing: Listing) -> None:
        """Look up the pages that came without a body. They may be those of a time before a record was gone: what they
        hold is there again, though no item of it was loaded."""
        if not listing.stored:
            return
        async with aclosing(self._ledger.complete(listing, await self._gone())) as found:
            async for raw_id, records in found:
                delta = await retried(self._clock, partial(self._bring_back, raw_id, records, listing.at, []))
                self.gained = self.gained.plus(delta)
                self._observer.batch_committed(self._run, "", delta)

    async def _gone(self) -> KeySet:
        """The keys of the records that are gone."""
        keys, after = KeySet(), 0
        while True:
            async with self._store.begin(write=False) as work:
                page = await work.records.present(
                    self._job.name, self._run.started_at, after=after, limit=SLICE_ROWS, gone=True
                )
            keys.add(row.key for row in page)
            if len(page) < SLICE_ROWS:
                return keys
            after = page[-1].record_id

    async def _bring_back(
        self, raw_id: int, records: Sequence[PreparedRecord], at: datetime, before: list[Counters]
    ) -> Counters:
        """Bring in records of a stored payload, seen at this instant. `before`: what the attempts before have written,
        for the answer of a commit may be lost. What the database refuses stays gone."""
        job, run = self._job, self._run
        sight = Observation(job.name, run.run_id, raw_id, at, history=job.history, by_occurrence=job.by_occurrence)
        async with self._lease.begin() as work:
            renewed = await self._lease.renew_in(work)
            outcome, _ = await work.records.upsert_apart(records, sight)
            delta = Counters(fetched=outcome.updated, updated=outcome.updated)
            if delta.changed_nothing:
                return before[-1] if before else delta
            await work.runs.add(run.run_id, delta)
            await work.events.append(batch_committed(run, "", delta, self._clock.now()))
            before.append(delta)
            await work.commit()
        self._lease.renewed(renewed)
        return delta

    async def _are_as_many(self, listing: Listing) -> bool:
        """Every key of the listing is there; if no more are there, none is missing. Ten times as fast as looking."""
        async with self._store.begin(write=False) as work:
            there = await work.records.count(RecordQuery(source=self._job.name, gone=False))
        return there == len(listing.keys)

    async def _missing(self, listing: Listing) -> tuple[Sequence[int], int]:
        """The ids of the records that the listing did not show, and how many stood before it. Page by page, so that no
        read transaction stays open; nobody else writes this source meanwhile."""
        missing, stood, after = array("q"), 0, 0
        while True:
            async with self._store.begin(write=False) as work:
                page = await work.records.present(self._job.name, listing.since, after=after, limit=SLICE_ROWS)
            if listing.own and not after and page and not page[0].stood:
                return missing, 0  # even the oldest one came with this listing
            stood += await asyncio.to_thread(_call_page, listing, page, missing)
            if len(page) < SLICE_ROWS:
                return missing, stood
            after = page[-1].record_id

    async def _mark(self, record_ids: Sequence[int], at: datetime) -> Event:
        async with self._lease.begin() as work:
            renewed = await self._lease.renew_in(work)
            count = await work.records.mark_gone(record_ids, at)
            event = records_gone(self._run, count, at, self._clock.now())
            if count:  # none: this was committed before, and its answer lost
                await work.events.append(event)
            await work.commit()
        self._lease.renewed(renewed)
        return event


def _call_page(listing: Listing, page: Sequence[Present], missing: array[int]) -> int:
    """Add the ids of those that are missing; how many of the page stood before the listing."""
    stood = 0
    for record_id, key, before in page:
        if key not in listing.keys:
            missing.append(record_id)
            stood += 1
        elif before:
            stood += 1
    return stood


async def forget_listings(lease: LeaseKeeper, source: str) -> None:
    """The records of a source are about to change otherwise than by reading it: its next listing is compared with them
    whatever it holds."""
    async with lease.begin() as work:
        renewed = await lease.renew_in(work)
        for state in await work.partitions.list(source):
            if state.listing is not None:
                await work.partitions.save(replace(state, listing=None))
        await work.commit()
    lease.renewed(renewed)


def judged(verdict: Verdict, departed: Departed | None, source: str) -> Verdict:
    """The end of a run with what its listing told: degraded where so much was missing that nothing was marked; not
    unchanged where something was."""
    if departed is None or verdict.status not in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED):
        return verdict
    if departed.refused:
        return Verdict(RunStatus.DEGRADED, "too_many_gone", _refusal(departed, source))
    return Verdict(RunStatus.SUCCEEDED) if departed.marked else verdict


def _refusal(departed: Departed, source: str) -> str:
    return (
        f"{departed.missing:,} of the {departed.stood:,} records of source {source!r} ({departed.share:.1%}) were not "
        f"listed any more, which is more than mark_gone_max = {departed.most:g} allows: none was marked as gone. If "
        "they are, raise mark_gone_max for one run; if the source answered less than it has, nothing is to be done; if "
        "it always lists the newest alone, say mark_gone = false."
    )
