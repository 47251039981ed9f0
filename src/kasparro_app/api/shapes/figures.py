"""Sums and durations."""

from __future__ import annotations

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Moment, Shape
from kasparro_app.api.shapes.runs import RunShape


class RecordFigures(Shape):
    """Items by what became of them."""

    processed: int = Field(description="All items: the four below together.")
    inserted: int = Field(description="New records.")
    updated: int = Field(description="Changed records.")
    unchanged: int = Field(description="Records as before.")
    rejected: int = Field(description="Refused items.")


class RunFigures(Shape):
    """Runs by status."""

    total: int = Field(description="All runs, the running ones too.")
    running: int = Field(description="Runs that are under way.")
    succeeded: int = Field(description="Runs that wrote something.")
    unchanged: int = Field(description="Successful runs that wrote nothing.")
    degraded: int = Field(description="Runs with a failed partition or too many rejections.")
    failed: int = Field(description="Runs that failed.")
    interrupted: int = Field(description="Runs that were stopped, or whose process died.")


class DurationFigures(Shape):
    """How long finished runs took, in seconds."""

    count: int = Field(description="Finished runs.")
    mean_seconds: float | None = Field(description="The mean; null without finished runs.")
    p50_seconds: float | None = Field(
        description="Half of the newest runs (100 of each source at most) took no longer; null without any."
    )
    p95_seconds: float | None = Field(description="95 of 100 of these took no longer; null without any.")


class Figures(Shape):
    """Sums since the first run, which no pruning lowers; running runs are counted as far as they are."""

    records: RecordFigures = Field(description="Items by what became of them.")
    runs: RunFigures = Field(description="Runs by status.")
    durations: DurationFigures = Field(description="How long finished runs took.")
    bytes_fetched: int = Field(description="Bytes received.")
    requests: int = Field(description="HTTP requests made.")
    retries: int = Field(description="Requests that were made again.")
    throttled: int = Field(description="Answers that said: too many requests (429).")
    rejections: dict[str, int] = Field(description="Refused items and noted values by code, each time they were seen.")
    last_success_at: Moment | None = Field(description="When a run last came through (degraded ones too).")
    last_failure_at: Moment | None = Field(description="When a run last failed or was interrupted.")


class SourceFigures(Figures):
    """The sums of one source."""

    source: str = Field(description="The source.")
    configured: bool = Field(description="False for a source that is not in the configuration any more.")
    last_run: RunShape | None = Field(description="The newest run; null before the first.")
    last_success: RunShape | None = Field(description="The newest run that came through.")
    last_failure: RunShape | None = Field(description="The newest run that failed or was interrupted.")


class StatsAnswer(Answered):
    """Sums per source and in all."""

    total: Figures = Field(description="All sources together.")
    sources: list[SourceFigures] = Field(description="Every source that is configured or ever ran, by name.")
