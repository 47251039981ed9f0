"""Runs and what is known of them."""

from __future__ import annotations

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Moment, Paged, Shape
from kasparro_core.model import RunStatus, SkipReason, SlotState, Trigger


class RunShape(Shape):
    """One run of one source. Always: fetched = inserted + updated + unchanged + rejected."""

    run_id: int = Field(description="The id of the run; later runs have higher ones.")
    source: str = Field(description="The source it reads.")
    trigger: Trigger = Field(description="What started it.")
    status: RunStatus = Field(description="running, or how it ended.")
    started_at: Moment = Field(description="When it began.")
    finished_at: Moment | None = Field(description="When it ended; null while it runs.")
    seconds: float | None = Field(description="How long it took; null while it runs.")
    fetched: int = Field(description="Items read.")
    inserted: int = Field(description="Items that became new records.")
    updated: int = Field(description="Items whose record changed.")
    unchanged: int = Field(description="Items whose record is as before.")
    rejected: int = Field(description="Items that could not become records.")
    batches: int = Field(description="Units of work committed.")
    bytes_fetched: int = Field(description="Bytes received.")
    requests: int = Field(description="HTTP requests made, tried ones included.")
    retries: int = Field(description="Requests that were made again.")
    throttled: int = Field(description="Answers that said: too many requests (429).")
    error_code: str | None = Field(description="A short stable word for what went wrong.")
    error: str | None = Field(description="What went wrong, in a sentence.")
    resumes: int | None = Field(description="The run that this one took over.")


class SlotShape(Shape):
    """One slot of a schedule."""

    slot_at: Moment = Field(description="The slot's nominal instant.")
    state: SlotState = Field(description="ran; skipped: see reason; missed: nobody was there.")
    reason: SkipReason | None = Field(
        description="Why it was skipped. running: its predecessor still ran; gone: the source was taken down for good; "
        "not_due: the source asks not to be asked yet."
    )
    run_id: int | None = Field(description="The run that it started, or (skipped) that was still running.")
    folded: int = Field(description="How many still older missed slots this one stands for.")


class RunsAnswer(Paged):
    """A page of the ledger."""

    data: list[RunShape] = Field(description="Runs, newest first.")


class RunAnswer(RunShape, Answered):
    """One run, with what it goes on from."""

    resumed_runs: list[RunShape] = Field(
        description="The run it took over, the one which that took over, and so on, as far as they are kept."
    )
    slot: SlotShape | None = Field(
        description="The slot that started it; null for runs without one or with a pruned one."
    )


class BusySource(Shape):
    """A source that was running already."""

    source: str = Field(description="The source.")
    run_id: int = Field(description="Its running run.")


class StartedAnswer(Answered):
    """Runs that go on in the background."""

    run_id: int = Field(description="The first of the runs: where Location leads.")
    runs: list[RunShape] = Field(description="The runs that were started, by source.")
    busy: list[BusySource] = Field(description="Sources that run already and were left alone.")
