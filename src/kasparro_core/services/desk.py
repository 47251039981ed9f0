"""Runs in the background of a service: begun at once and durably, carried out by tasks of this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kasparro_core.errors import ConflictError, KasparroError
from kasparro_core.model import GivenAnswer, Lease, Run, Trigger
from kasparro_core.ports import Clock, Store, UnitOfWork
from kasparro_core.services.claims import Claim
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner
from kasparro_core.services.steps import BRIEFLY, retried, unbroken

_log = logging.getLogger("kasparro")


@dataclass(frozen=True, slots=True)
class Started:
    """What was begun, and which sources run already: their run_id by name."""

    runs: tuple[Run, ...] = ()
    busy: Mapping[str, int] = field(default_factory=dict)


Beside = Callable[[UnitOfWork, Started], Awaitable[None]]
"""Written in the transaction that begins the runs, or not at all. A ConflictError of it undoes everything."""


class _MovedError(Exception):
    """A lease is not as it was seen."""


class Desk:
    """Begins runs and carries them out. Belongs to one event loop."""

    def __init__(self, store: Store, clock: Clock, runner: Runner) -> None:
        self._store = store
        self._clock = clock
        self._runner = runner
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def running(self) -> int:
        """How many runs of this process are under way."""
        return len(self._tasks)

    async def start(
        self,
        jobs: Sequence[SourceJob],
        trigger: Trigger,
        *,
        answer: Callable[[Started], GivenAnswer] | None = None,
        beside: Beside | None = None,
    ) -> Started:
        """Begin a run of each job whose source is free, in one transaction, and carry them out in the background.

        `answer` is kept in that transaction, if anything was begun; `beside` is done in it in any case. A caller that
        is cancelled meanwhile takes nothing back. Raises ConflictError with code "answered" when there is an answer
        under that key already, "stopping" when this process is being stopped, any ConflictError of `beside`, and
        StorageError.
        """
        return await unbroken(self._start(sorted(jobs, key=lambda job: job.name), trigger, answer, beside))

    async def take_over(self, job: SourceJob, seen: Lease) -> bool:
        """Resume the run of a dead owner by a new one. False when somebody else was faster."""
        self._refuse_when_closed()
        claim = await self._runner.claims.take(job.name, Trigger.RECOVERY, seen)
        if claim is not None:
            self._carry_out(job, claim)
        return claim is not None

    async def stop(self, deadline: float) -> None:
        """Begin nothing more; cancel what runs and wait for its end, at most `deadline` seconds. A batch in flight is
        finished or rolled back, and its run is marked interrupted."""
        self._closed = True
        for task in self._tasks:
            _break_off(task)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=deadline)

    async def _start(
        self,
        jobs: Sequence[SourceJob],
        trigger: Trigger,
        answer: Callable[[Started], GivenAnswer] | None,
        beside: Beside | None,
    ) -> Started:
        while True:
            self._refuse_when_closed()
            seen, busy = await self._look(jobs)
            free = [job for job in jobs if job.name not in busy]
            if not free and beside is None:
                return Started(busy=busy)
            try:
                claims = await retried(  # the lambda is awaited at once
                    self._clock,
                    lambda: self._commit(free, seen, busy, trigger, answer, beside),  # noqa: B023
                    within=BRIEFLY,
                )
            except _MovedError:
                continue
            for job, claim in zip(free, claims, strict=True):
                self._carry_out(job, claim)
            return Started(tuple(claim.run for claim in claims), busy)

    async def _look(self, jobs: Sequence[SourceJob]) -> tuple[dict[str, Lease | None], dict[str, int]]:
        """Each source's lease, and the runs that live owners hold."""
        claims = self._runner.claims
        seen = {job.name: await claims.look(job.name) for job in jobs}
        busy = {
            name: lease.run_id
            for name, lease in seen.items()
            if not await claims.is_free(lease) and lease is not None and lease.run_id is not None
        }
        return seen, busy

    async def _commit(
        self,
        free: Sequence[SourceJob],
        seen: Mapping[str, Lease | None],
        busy: Mapping[str, int],
        trigger: Trigger,
        answer: Callable[[Started], GivenAnswer] | None,
        beside: Beside | None,
    ) -> list[Claim]:
        async with self._runner.claims.unit() as (work, claims):
            for job in free:
                claims.append(await self._begin(work, job, trigger, seen[job.name]))
            started = Started(tuple(claim.run for claim in claims), busy)
            if beside is not None:
                await beside(work, started)
            if answer is not None and claims:
                await _keep(work, answer(started))
            for event in [event for claim in claims for event in claim.events]:
                await work.events.append(event)
            await work.commit()
        return claims

    async def _begin(self, work: UnitOfWork, job: SourceJob, trigger: Trigger, seen: Lease | None) -> Claim:
        try:
            return await self._runner.claims.begin_in(work, job.name, trigger, seen)
        except ConflictError as error:
            raise _MovedError from error

    def _carry_out(self, job: SourceJob, claim: Claim) -> None:
        task = asyncio.create_task(self._outcome(job, claim), name=f"run {claim.run.run_id} of {job.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._closed:  # it was begun while the process was told to stop: it ends as interrupted
            _break_off(task)

    async def _outcome(self, job: SourceJob, claim: Claim) -> None:
        try:
            await self._runner.carry_out(job, claim)
        except KasparroError as error:
            _log.error("run %d of source %s could not be ended properly: %s", claim.run.run_id, job.name, error)
        except Exception:  # noqa: BLE001 - the outermost edge of a run: a bug in one source must not take the service with it
            _log.exception("run %d of source %s failed by a bug", claim.run.run_id, job.name)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ConflictError("This process is being stopped and begins no runs.", code="stopping")


def _break_off(task: asyncio.Task[None]) -> None:
    """Cancel a run, after its first step: a task that is cancelled before it never comes to ending its run."""
    task.get_loop().call_soon(task.cancel)


async def _keep(work: UnitOfWork, answer: GivenAnswer) -> None:
    try:
        await work.answers.put(answer)
    except ConflictError as error:
        raise ConflictError("This Idempotency-Key has been answered already.", code="answered") from error
