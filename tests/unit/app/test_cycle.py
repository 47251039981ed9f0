"""One cycle over several sources."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from scripted import ScriptedSource

from kasparro_app.cycle import AT_ONCE, Outcome, exit_code, run_cycle
from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import Run, RunStatus, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob


def run_in(status: RunStatus, source: str = "s") -> Run:
    return Run(1, source, Trigger.CLI, status, datetime(2024, 1, 1, tzinfo=UTC))


def jobs_of(*names: str) -> list[SourceJob]:
    return [SourceJob(ScriptedSource({}, name=name), RecordMapping(source=name)) for name in names]


class Scripted:
    """A runner that does what a test says for each source, and remembers how many ran at once."""

    def __init__(self, ends: dict[str, Any]) -> None:
        self.ends = ends
        self.running = self.most = 0

    async def run(self, job: SourceJob, **how: Any) -> Run | None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            end = self.ends.get(job.name, run_in(RunStatus.SUCCEEDED, job.name))
            if isinstance(end, Exception):
                raise end
            return end
        finally:
            self.running -= 1


async def test_no_source_takes_the_others_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """A database fault and a bug in two sources are told for these two; the third one is done."""
    runner: Any = Scripted({"a": PermanentStorageError("disk full"), "b": ZeroDivisionError("bug")})
    outcomes = await run_cycle(runner, jobs_of("a", "b", "c"))
    assert [(outcome.source, outcome.status) for outcome in outcomes] == [
        ("a", "failed"),
        ("b", "failed"),
        ("c", "succeeded"),
    ]
    assert outcomes[1].error is not None
    assert (outcomes[1].error.code, outcomes[1].error.message) == ("internal", "ZeroDivisionError: bug")
    assert "source b failed by a bug" in caplog.text


async def test_sources_run_side_by_side_up_to_a_bound() -> None:
    """Many sources run at once, but never more than the bound."""
    runner: Any = Scripted({})
    await run_cycle(runner, jobs_of(*(f"s{number}" for number in range(30))))
    assert runner.most == AT_ONCE


async def test_a_source_that_runs_elsewhere_is_skipped() -> None:
    """Without waiting, a source that another process has is neither run nor failed."""
    runner: Any = Scripted({"a": None})
    (outcome,) = await run_cycle(runner, jobs_of("a"), wait=False)
    assert (outcome.status, outcome.failed) == ("skipped", False)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 0),
        ([RunStatus.SUCCEEDED, RunStatus.UNCHANGED], 0),
        ([RunStatus.SUCCEEDED, RunStatus.DEGRADED], 3),
        ([RunStatus.DEGRADED, RunStatus.FAILED], 1),
        ([RunStatus.INTERRUPTED], 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst(statuses: list[RunStatus], code: int) -> None:
    """Failed goes before degraded goes before ok."""
    assert exit_code([Outcome("s", run_in(status)) for status in statuses]) == code


class Stopped:
    """A runner whose source "a" cannot end itself properly when it is stopped."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def run(self, job: SourceJob, **how: Any) -> Run | None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise PermanentStorageError("disk full") from None
        return None


async def test_what_fails_while_stopping_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A cancelled cycle has no outcomes, so the log has what could not be ended properly."""
    runner: Any = Stopped()
    cycle = asyncio.create_task(run_cycle(runner, jobs_of("a")))
    await runner.begun.wait()
    cycle.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cycle
    assert caplog.messages == ["source a could not be ended properly: disk full"]


async def test_a_database_fault_inside_a_run_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The fault of a partition cancels the run's other tasks; that is not the cycle being stopped."""

    class Failing:
        async def run(self, job: SourceJob, **how: Any) -> Run | None:
            async def fail() -> None:
                raise PermanentStorageError("disk full")

            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail())
            except* PermanentStorageError as errors:
                raise errors.exceptions[0] from None
            return None

    runner: Any = Failing()
    (outcome,) = await run_cycle(runner, jobs_of("a"))
    assert str(outcome.error) == "disk full"
    assert caplog.messages == []
