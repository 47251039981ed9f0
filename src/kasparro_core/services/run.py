"""One run of one source: claim it, ingest its partitions side by side, give the run its final state.

running ─▶ succeeded | unchanged | degraded | failed     by this process
running ─▶ interrupted                                   cancelled here, or marked by whoever takes over
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from kasparro_core.errors import ConflictError, KasparroError, SourceError, StorageError
from kasparro_core.model import Counters, Event, Run, RunStatus, Trigger
from kasparro_core.ports import Clock, Decoder, Observer, ProcessHandle, Store, UnitOfWork
from kasparro_core.services.claims import WHOLE, Claim, Claims
from kasparro_core.services.ended import ended_unheard
from kasparro_core.services.events import run_finished
from kasparro_core.services.gone import judged
from kasparro_core.services.ingest import Ingest
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.outcome import STOPPED, Verdict, verdict
from kasparro_core.services.outliers import NOTHING, Outliers, examined
from kasparro_core.services.partition_names import check_name
from kasparro_core.services.partition_states import PartitionBook
from kasparro_core.services.run_facts import write_facts
from kasparro_core.services.shapes import ShapeBook
from kasparro_core.services.steps import retried, unbroken
from kasparro_core.services.totals import retries
from kasparro_core.services.watch import watch

_log = logging.getLogger("kasparro")

LEASE_TTL = 60.0
"""Seconds after which a lease that nobody renews may be taken from an owner that cannot be judged."""


class LeftOutError(Exception):
    """What a source raises before the first batch of a partition that is not to be read in this run after all."""


@dataclass(slots=True)
class _Progress:
    """What the partitions of a run did, as far as they have ended."""

    partitions: list[str] = field(default_factory=list)
    completed: set[str] = field(default_factory=set)
    left_alone: set[str] = field(default_factory=set)
    failures: dict[str, KasparroError] = field(default_factory=dict)
    book: PartitionBook | None = None
    cost: Counters = Counters()
    reasons: Counter[str] = field(default_factory=Counter)
    outliers: Outliers = NOTHING
    full: bool = False

    def ended(self) -> dict[str, KasparroError | None]:
        """Those that came to an end, each with its error if it failed."""
        names = [name for name in self.partitions if name in self.completed] + list(self.failures)
        return {name: self.failures.get(name) for name in names}

    async def conclude(self, work: UnitOfWork, run: Run, now: datetime) -> list[Event]:
        """What the run learned about its source is written; what is to be told of it comes back."""
        if self.book is None:
            return []
        shapes = await self.book.shapes.end(work, run, now) if self.book.shapes else ()
        outliers = await self.outliers.tell(work, run, now)
        return [*await self.book.end(work, self.ended(), run, now), *shapes, *outliers]

    def is_comparable(self, run: Run) -> bool:
        """Whether what the run counted can be compared with other runs: it read its whole source, and no more than
        any run does."""
        if self.full or run.resumes is not None or self.book is None or not self.partitions:
            return False
        return self.completed == set(self.partitions) and self.book.glance.is_whole(self.completed)

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
            if self.book is not None:
                self.book.latencies.add(fetch.took)


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
        code_version: str | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._code_version = code_version
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
        run, progress = claim.run, _Progress(full=full)
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
        progress.book = book = await retried(self._clock, lambda: PartitionBook.load(self._store, job.source))
        if run.trigger is not Trigger.BACKFILL:  # what a source sent long ago says nothing of what it sends now
            book.shapes = await retried(self._clock, lambda: ShapeBook.load(self._store, job))
        try:
            progress.partitions = list(dict.fromkeys(await job.source.partitions()))
        except SourceError as error:
            progress.failed("", error)
            self._observer.partition_failed(run, "", error)
            return
        book.whole = progress.partitions == [WHOLE]
        ingest = Ingest(
            store=self._store,
            clock=self._clock,
            observer=self._observer,
            decoders=self._decoders,
            job=job,
            run=run,
            lease=keeper,
            full=full,
            book=book,
        )
        await self._all_partitions(job, run, ingest, progress, book)
        progress.outliers = await examined(self._store, job, run, self._clock)

    async def _all_partitions(
        self, job: SourceJob, run: Run, ingest: Ingest, progress: _Progress, book: PartitionBook
    ) -> None:
        """Read the partitions, some at once; the failure of one leaves the others alone, and so does its wish to be
        asked later."""
        places = asyncio.Semaphore(job.parallel_partitions)

        async def one(partition: str) -> None:
            if run.trigger is Trigger.SCHEDULE and await self._is_left_alone(book, partition, job):
                progress.left_alone.add(partition)
                return
            async with places:
                try:
                    check_name(job.name, partition)
                    await ingest.partition(partition)
                    progress.completed.add(partition)
                except LeftOutError:
                    progress.partitions.remove(partition)
                except SourceError as error:
                    progress.failed(partition, error)
                    self._observer.partition_failed(run, partition, error)

        try:
            async with asyncio.TaskGroup() as group:
                for partition in progress.partitions:
                    group.create_task(one(partition))
        except BaseExceptionGroup as errors:
            raise _leading(errors) from errors

    async def _is_left_alone(self, book: PartitionBook, partition: str, job: SourceJob) -> bool:
        """True when a timed run does not read this partition. What ends soon is waited for."""
        now = self._clock.now()
        hold = book.hold(partition, now)
        if hold is None:
            return False
        if (seconds := hold.wait(now, job.patience)) is not None:
            await self._clock.sleep(seconds)
            return False
        _log.info("source %s, partition %r is left alone by this timed run: %s", job.name, partition, hold)
        return True

    async def _finish(
        self, job: SourceJob, run: Run, keeper: LeaseKeeper, progress: _Progress, stopped: Verdict | None = None
    ) -> Run:
        """One transaction: partition states, the run's final state, the lease given back. With `stopped` the run ends
        so; else its counters and failures decide."""
        try:
            async with keeper.begin() as work:
                lease = await keeper.renew_in(work)
                now = self._clock.now()
                events = await progress.conclude(work, run, now)
                comparable = progress.is_comparable(run)
                facts = await write_facts(work, run, self._code_version, progress.book, comparable=comparable)
                if progress.cost != Counters():
                    await work.runs.add(run.run_id, progress.cost)
                    await work.totals.add(job.name, retries(progress.reasons))
                end = stopped or self._verdict(job, progress, await work.runs.get(run.run_id) or run)
                finished = await work.runs.finish(
                    run.run_id, end.status, now, error_code=end.error_code, error=end.error
                )
                events += await watch(work, job, finished, facts, now)
                await work.leases.release(lease)
                for event in (*events, run_finished(finished)):
                    await work.events.append(event)
                await work.commit()
        except ConflictError:
            return await ended_unheard(self._store, self._observer, run)
        for event in events:
            self._observer.noted(run, event)
        self._observer.run_finished(finished)
        return finished

    def _verdict(self, job: SourceJob, progress: _Progress, run: Run) -> Verdict:
        end = verdict(
            run.counters,
            progress.failures,
            len(progress.partitions) - len(progress.left_alone),
            max_rejected=job.max_rejected,
            fail_rejected=job.fail_rejected,
        )
        return judged(end, progress.book.departed if progress.book else None, job.name)

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
