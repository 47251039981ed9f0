"""One cycle over several sources, side by side, each isolated from the others' failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from kasparro_core.errors import KasparroError
from kasparro_core.model import Run, RunStatus, Trigger
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

AT_ONCE = 8
_log = logging.getLogger("kasparro")


@dataclass(frozen=True)
class Outcome:
    """How one source of a cycle ended: its run; neither run nor error: it runs elsewhere and was skipped; `error`:
    the database failed, or a bug. `alarms`: what stood out, in a sentence each."""

    source: str
    run: Run | None = None
    error: KasparroError | None = None
    alarms: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """The status of the run, "skipped" or "failed"."""
        if self.run is not None:
            return str(self.run.status)
        return "failed" if self.error else "skipped"

    @property
    def failed(self) -> bool:
        """True when the source did not come through."""
        return self.status in {RunStatus.FAILED, RunStatus.INTERRUPTED}


async def run_cycle(
    runner: Runner,
    jobs: Sequence[SourceJob],
    *,
    trigger: Trigger = Trigger.CLI,
    full: bool = False,
    wait: bool = True,
) -> list[Outcome]:
    """Run the jobs, at most 8 at once, and say how each ended, in their order. Cancelling it cancels and awaits all."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(job: SourceJob) -> Outcome:
        async with places:
            return await _outcome(runner, job, trigger, full=full, wait=wait)

    tasks: list[asyncio.Task[Outcome]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks.extend(group.create_task(one(job)) for job in jobs)
    except asyncio.CancelledError:
        _tell_what_nobody_will_see(tasks)
        raise
    return [task.result() for task in tasks]


async def _outcome(runner: Runner, job: SourceJob, trigger: Trigger, *, full: bool, wait: bool) -> Outcome:
    try:
        return Outcome(job.name, await runner.run(job, trigger=trigger, full=full, wait=wait))
    except KasparroError as error:
        return Outcome(job.name, error=error)
    except Exception as bug:  # noqa: BLE001 - the outermost edge of a source: a bug in one must not take the others with it
        _log.exception("source %s failed by a bug", job.name)
        return Outcome(job.name, error=KasparroError(f"{type(bug).__name__}: {bug}", code="internal"))


def _tell_what_nobody_will_see(tasks: Sequence[asyncio.Task[Outcome]]) -> None:
    """A cancelled cycle has no outcomes: what failed while it was being stopped is told here."""
    for outcome in [task.result() for task in tasks if task.done() and not task.cancelled()]:
        if outcome.error is not None:
            _log.error("source %s could not be ended properly: %s", outcome.source, outcome.error)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """1 if a source failed, else 3 if one is degraded, else 0."""
    if any(outcome.failed for outcome in outcomes):
        return 1
    return 3 if any(outcome.status == RunStatus.DEGRADED for outcome in outcomes) else 0
