"""Normalize stored raw payloads again: in the order they were read, from their bytes and decode facts alone, with the
instants at which they were observed, without the network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from kasparro_core.errors import ConflictError, KasparroError, StorageError
from kasparro_core.model import Counters, Run, RunStatus, Trigger
from kasparro_core.ports import Clock, Decoder, Observer, ProcessHandle, Store
from kasparro_core.services.claims import Claim, Claims
from kasparro_core.services.ended import ended_unheard
from kasparro_core.services.events import run_finished
from kasparro_core.services.gone import forget_listings
from kasparro_core.services.held import Held
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.outcome import STOPPED, Verdict, verdict
from kasparro_core.services.replay_scope import EVERYTHING, ReplayScope
from kasparro_core.services.replay_walk import ReplayWalk
from kasparro_core.services.run import LEASE_TTL
from kasparro_core.services.run_facts import write_facts
from kasparro_core.services.steps import retried, unbroken


class Replayer:
    """Replays sources for one process; owns the source while it does."""

    def __init__(
        self,
        store: Store,
        handle: ProcessHandle,
        clock: Clock,
        decoders: Mapping[str, Decoder],
        observer: Observer,
        *,
        lease_ttl: float = LEASE_TTL,
        code_version: str | None = None,
    ) -> None:
        self._store = store
        self._code_version = code_version
        self._clock = clock
        self._decoders = decoders
        self._observer = observer
        self._claims = Claims(store, handle, clock, observer, lease_ttl)

    async def replay(self, job: SourceJob, *, scope: ReplayScope = EVERYTHING, dry_run: bool = False) -> Run:
        """Replay what a scope takes of all that is stored of a source, and return the finished run.

        With `dry_run` nothing is kept, not even the run (its id is 0): each unit of work is rolled back, and the
        counters say what each payload would change by itself.
        But for a scope of everything, items that were refused for a shape which waits to be accepted stay refused.
        Interrupted half-way, it is simply done again: it only ever moves records towards the same final state.
        Raises PermanentSourceError for a payload that its decoder no longer understands, StorageError when the
        database fails.
        """
        if dry_run:
            return await self._rehearse(job, scope)
        claim = await self._claims.claim(job.name, Trigger.REPLAY, wait=True)
        if claim is None:  # unreachable with wait=True, which only ever returns a claim
            raise ConflictError(f"source {job.name!r} could not be claimed")
        keeper = self._claims.keeper(claim)
        try:
            self._claims.announce(claim)
            async with keeper.beating():
                await retried(self._clock, lambda: forget_listings(keeper, job.name))
                walk = await self._walk(job, claim.run, keeper, scope)
                await walk.all()
            return await retried(self._clock, lambda: self._finish(claim, keeper, _judged(job, walk.counters)))
        except BaseException as error:  # a cancellation too: the run must not stay `running`
            await self._try_finish(claim, keeper, error)
            raise

    async def _try_finish(self, claim: Claim, keeper: LeaseKeeper, error: BaseException) -> None:
        """Mark a replay on the way out of an error. Where that cannot be done the lease runs out, and whoever takes it
        marks the run."""
        try:
            await unbroken(self._finish(claim, keeper, _failed(error)))
        except (StorageError, ConflictError) as second:
            error.add_note(f"the run could not be given its end either: {second}")

    async def _walk(self, job: SourceJob, run: Run, lease: LeaseKeeper | None, scope: ReplayScope) -> ReplayWalk:
        held = Held({}) if scope.everything else await retried(self._clock, lambda: Held.load(self._store, job.name))
        return ReplayWalk(
            store=self._store,
            clock=self._clock,
            decoders=self._decoders,
            observer=self._observer,
            job=job,
            run=run,
            lease=lease,
            scope=scope,
            held=held,
        )

    async def _rehearse(self, job: SourceJob, scope: ReplayScope) -> Run:
        run = Run(0, job.name, Trigger.REPLAY, RunStatus.RUNNING, self._clock.now())
        rehearsal = await self._walk(job, run, None, scope)
        await rehearsal.all()
        end = _judged(job, rehearsal.counters)
        return replace(
            run,
            status=end.status,
            finished_at=self._clock.now(),
            counters=rehearsal.counters,
            error_code=end.error_code,
            error=end.error,
        )

    async def _finish(self, claim: Claim, keeper: LeaseKeeper, end: Verdict) -> Run:
        try:
            async with keeper.begin() as work:
                lease = await keeper.renew_in(work)
                await write_facts(work, claim.run, self._code_version)
                run = await work.runs.finish(
                    claim.run.run_id, end.status, self._clock.now(), error_code=end.error_code, error=end.error
                )
                await work.leases.release(lease)
                await work.events.append(run_finished(run))
                await work.commit()
        except ConflictError:
            return await ended_unheard(self._store, self._observer, claim.run)
        self._observer.run_finished(run)
        return run


def _judged(job: SourceJob, counters: Counters) -> Verdict:
    return verdict(counters, {}, 1, max_rejected=job.max_rejected, fail_rejected=job.fail_rejected)


def _failed(error: BaseException) -> Verdict:
    if isinstance(error, asyncio.CancelledError):
        return STOPPED
    code = error.code if isinstance(error, KasparroError) else "internal"
    return Verdict(RunStatus.FAILED, code, str(error))
