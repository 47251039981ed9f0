"""One run of one source: claim it, ingest its partitions side by side, give the run its final state.

running ─▶ succeeded | unchanged | degraded | failed     by this process
running ─▶ interrupted                                   cancelled here, or marked by whoever takes over
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

from kasparro_core.errors import ConflictError, KasparroError, SourceError, StorageError
from kasparro_core.model import Counters, PartitionState, Run, RunStatus, Trigger
from kasparro_core.normalize.compiler import compile_mapping
from kasparro_core.ports import Clock, Decoder, Observer, ProcessHandle, Store
from kasparro_core.services.claims import TAKEN_OVER, Claim, Claims
from kasparro_core.services.events import run_finished
from kasparro_core.services.ingest import Ingest
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.outcome import STOPPED, Verdict, verdict
from kasparro_core.services.partition_names import check_name, is_fit
from kasparro_core.services.steps import retried, unbroken
from kasparro_core.services.totals import retries

LEASE_TTL = 60.0
"""Seconds after which a lease that nobody renews may be taken from an owner that cannot be judged."""


@dataclass(slots=True)
class _Progress:
    """What the partitions of a run did, as far as they have ended."""

    partitions: list[str] = field(default_factory=list)
    completed: set[str] = field(default_factory=set)
    failures: dict[str, KasparroError] = field(default_factory=dict)
    cost: Counters = Counters()
    reasons: Counter[str] = field(default_factory=Counter)

    def failed(self, partition: str, error: SourceError) -> None:
        """Note a failure, and what the requests behind it cost although they brought nothing."""
        self.failures[partition] = error
        if (fetch := error.fetch) is not None:
            spent = Counters(
                bytes_fetched=fetch.bytes_fetched,
                requests=fetch.requests,
                retries=fetch.retries,
                throttled=fetch.throttled,
            )
            self.cost = self.cost.plus(spent)
            self.reasons.update(fetch.retry_reasons)


class Runner:
    """Runs sources for one process. Safe for many runs at once, of which `at_once` read and write at any moment; the
    others hold their sources and wait."""

    def __init__(
        self,
        store: Store,
        handle: ProcessHandle,
        clock: Clock,
        decoders: Mapping[str, Decoder],
        observer: Observer,
        *,
        lease_ttl: float = LEASE_TTL,
        at_once: int | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._decoders = decoders
        self._observer = observer
        self._places = nullcontext() if at_once is None else asyncio.Semaphore(at_once)
        self.claims = Claims(store, handle, clock, observer, lease_ttl)

    async def run(
        self, job: SourceJob, *, trigger: Trigger = Trigger.CLI, full: bool = False, wait: bool = True
    ) -> Run | None:
        """Do one run and return it in its final state. None: another live owner has the source and `wait` is false.

        A failing source is told in the run (status, error_code, error), not raised. Raises StorageError when the
        database fails, ConflictError when the run was taken over, and what is not a KasparroError (a bug) after the run
        is marked failed.
        """
        claim = await self.claims.claim(job.name, trigger, wait=wait)
        return None if claim is None else await self.carry_out(job, claim, full=full)

    async def carry_out(self, job: SourceJob, claim: Claim, *, full: bool = False) -> Run:
        """Do a run that has been claimed, and end it whatever happens."""
        try:
            return await self._carry_out(job, claim, full=full)
        finally:
            self.claims.leave([claim])

    async def _carry_out(self, job: SourceJob, claim: Claim, *, full: bool) -> Run:
        keeper = self.claims.keeper(claim)
        run, progress = claim.run, _Progress()
        try:
            self.claims.announce(claim)
            async with keeper.beating(), self._places:
                await self._ingest(job, run, keeper, progress, full=full)
            return await retried(self._clock, lambda: self._finish(job, run, keeper, progress))
        except asyncio.CancelledError:
            await unbroken(self._finish(job, run, keeper, progress, STOPPED))
            raise
        except ConflictError as error:
            return await self._finish(job, run, keeper, progress, Verdict(RunStatus.FAILED, error.code, str(error)))
        except StorageError as error:
            await self._try_finish(job, run, keeper, progress, error, error.code)
            raise
        except Exception as error:  # the outermost edge of a run: a bug must not leave it `running`
            await self._try_finish(job, run, keeper, progress, error, "internal")
            raise

    async def _ingest(self, job: SourceJob, run: Run, keeper: LeaseKeeper, progress: _Progress, *, full: bool) -> None:
        try:
            progress.partitions = list(dict.fromkeys(await job.source.partitions()))
        except SourceError as error:
            progress.failed("", error)
            self._observer.partition_failed(run, "", error)
            return
        ingest = Ingest(
            store=self._store,
            clock=self._clock,
            observer=self._observer,
            decoders=self._decoders,
            job=job,
            mapping=compile_mapping(job.mapping),
            run=run,
            lease=keeper,
            full=full,
        )
        await self._all_partitions(job, run, ingest, progress)

    async def _all_partitions(self, job: SourceJob, run: Run, ingest: Ingest, progress: _Progress) -> None:
        """Read the partitions, some at once; the failure of one leaves the others alone."""
        places = asyncio.Semaphore(job.parallel_partitions)

        async def one(partition: str) -> None:
            async with places:
                try:
                    check_name(job.name, partition)
                    await ingest.partition(partition)
                    progress.completed.add(partition)
                except SourceError as error:
                    progress.failed(partition, error)
                    self._observer.partition_failed(run, partition, error)

        try:
            async with asyncio.TaskGroup() as group:
                for partition in progress.partitions:
                    group.create_task(one(partition))
        except BaseExceptionGroup as errors:
            raise _leading(errors) from errors

    async def _finish(
        self, job: SourceJob, run: Run, keeper: LeaseKeeper, progress: _Progress, stopped: Verdict | None = None
    ) -> Run:
        """One transaction: partition states, the run's final state, the lease given back. With `stopped` the run ends
        so; else its counters and failures decide."""
        try:
            async with keeper.begin() as work:
                lease = await keeper.renew_in(work)
                for state in _states(job.name, progress):
                    await work.partitions.save(state)
                if progress.cost != Counters():
                    await work.runs.add(run.run_id, progress.cost)
                    await work.totals.add(job.name, retries(progress.reasons))
                end = stopped or self._verdict(job, progress, await work.runs.get(run.run_id) or run)
                finished = await work.runs.finish(
                    run.run_id, end.status, self._clock.now(), error_code=end.error_code, error=end.error
                )
                await work.leases.release(lease)
                await work.events.append(run_finished(finished))
                await work.commit()
        except ConflictError:
            return await self._lost(run)
        self._observer.run_finished(finished)
        return finished

    def _verdict(self, job: SourceJob, progress: _Progress, run: Run) -> Verdict:
        return verdict(
            run.counters,
            progress.failures,
            len(progress.partitions),
            max_rejected=job.max_rejected,
            fail_rejected=job.fail_rejected,
        )

    async def _try_finish(
        self, job: SourceJob, run: Run, keeper: LeaseKeeper, progress: _Progress, error: Exception, code: str
    ) -> None:
        """Mark a run failed on the way out of an error; if the database cannot even do that, the next run marks it
        interrupted: this process's at once, another's when the lease has run out or the process has ended."""
        told = str(error) if isinstance(error, KasparroError) else f"{type(error).__name__}: {error}"
        try:
            await self._finish(job, run, keeper, progress, Verdict(RunStatus.FAILED, code, told))
        except (StorageError, ConflictError) as second:
            error.add_note(f"the run could not be marked failed either: {second}")

    async def _lost(self, run: Run) -> Run:
        """The run as it ended although this process heard nothing of it: by its own commit whose answer was lost.
        Raises ConflictError when it was ended by whoever took it over: then nothing more of it is written."""
        async with self._store.begin(write=False) as work:
            stored = await work.runs.get(run.run_id)
        if stored is None:
            raise ConflictError(f"run {run.run_id} of source {run.source!r} is not in the ledger any more")
        self._observer.run_finished(stored)
        if stored.error_code == TAKEN_OVER:
            raise ConflictError(
                f"Run {run.run_id} of source {run.source!r} was taken over: this process stood still, or was without "
                "its database, for longer than its lease.",
                hint="What it had committed stays, and the run that took over goes on from there.",
            )
        return stored


def _states(source: str, progress: _Progress) -> list[PartitionState]:
    """How each partition did that came to an end; of one that was broken off nothing new is known."""
    ended = [name for name in progress.partitions if name in progress.completed or name in progress.failures]
    return [
        PartitionState(source, partition, "failed" if error else "ok", last_error=str(error) if error else None)
        for partition in ended
        if is_fit(partition)
        for error in [progress.failures.get(partition)]
    ]


def _leading(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that decides how a run ends, out of all that its partitions raised at once: a bug before a lost
    lease before a database fault."""
    flat = list(_flatten(errors))
    expected = [error for error in flat if isinstance(error, KasparroError)]
    unexpected = [error for error in flat if not isinstance(error, KasparroError)]
    conflicts = [error for error in expected if isinstance(error, ConflictError)]
    return (unexpected or conflicts or expected)[0]


def _flatten(errors: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flatten(error)
        else:
            yield error
