"""Health."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Moment, Shape
from kasparro_core.model import RunStatus


class DatabaseHealth(Shape):
    """The database, as just asked."""

    reachable: bool = Field(description="Whether it answered in time.")
    milliseconds: float = Field(description="How long its answer took.")


class SchedulerHealth(Shape):
    """Timed runs."""

    enabled: bool = Field(description="Whether this process begins timed runs (`--no-scheduler` says no).")
    running: int = Field(description="Runs that are under way in this process.")
    next_at: Moment | None = Field(description="When the next slot of any source is due.")
    overdue: int = Field(description="Sources, not paused, whose slot has been due for more than a minute.")


class SourceHealth(Shape):
    """How one source did last."""

    source: str = Field(description="The source.")
    enabled: bool = Field(description="Whether it is switched on.")
    last_run_id: int | None = Field(description="Its newest run; null before the first.")
    last_status: RunStatus | None = Field(description="The status of that run.")
    last_run_at: Moment | None = Field(description="When that run began.")
    last_success_at: Moment | None = Field(description="When a run last came through.")
    last_error: str | None = Field(description="What went wrong in the newest run.")


class HealthAnswer(Answered):
    """The service as a whole. Without the database the answer is 503."""

    status: Literal["ok", "degraded"] = Field(
        description="degraded: the newest run of a source that is switched on failed, or slots are overdue."
    )
    database: DatabaseHealth = Field(description="The database, as just asked.")
    scheduler: SchedulerHealth = Field(description="Timed runs.")
    sources: list[SourceHealth] = Field(description="The configured sources and their newest runs.")


class LiveAnswer(Answered):
    """The process answers. Nothing else is asked."""

    status: Literal["alive"] = Field(description="Always alive.")


class ReadyAnswer(Answered):
    """The service can do its work."""

    status: Literal["ready"] = Field(description="Always ready; else the answer is 503.")
    schema_revision: str = Field(description="The revision of the database's schema.")
