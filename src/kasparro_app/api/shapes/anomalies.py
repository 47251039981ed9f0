"""What stands out, and what of it is not to be told."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Exact, Moment, Paged, Shape
from kasparro_core.model import AnomalyScope, AnomalyState


class AnomalyShape(Shape):
    """A run, a record or a source with a figure outside of what its past lets expect."""

    anomaly_id: int = Field(description="The id of the finding.")
    source: str = Field(description="The source it is about.")
    run_id: int = Field(description="The run that found it first.")
    scope: AnomalyScope = Field(
        description="What stands out. A finding of a record or a source stands until it is sound again."
    )
    metric: str = Field(description="The figure: a word of which there are few.")
    subject: str = Field(description='The record, entity or field that it is about; "" for a whole run or source.')
    found: Exact = Field(description="The value of the figure.")
    expected_low: Exact | None = Field(description="The lower end of the expected range; null: there is none.")
    expected_high: Exact | None = Field(description="The upper end of the expected range; null: there is none.")
    explanation: str = Field(description="The finding in a sentence.")
    evidence: dict[str, Any] = Field(description="The numbers behind it.")
    state: AnomalyState = Field(
        description="open until a person acknowledges it; muted: not told; resolved: it stood, and is over."
    )
    times: int = Field(description="How often it was seen.")
    detected_at: Moment = Field(description="When it was seen first.")
    last_seen_at: Moment = Field(description="When it was seen last: the figures are of then.")
    closed_at: Moment | None = Field(description="Since when it is not open any more; open: null.")
    closed_by: str | None = Field(description="Who said so: the name of a key, or cli; null: nobody did.")
    note: str | None = Field(description="What was said about it.")


class AnomaliesAnswer(Paged):
    """A page of anomalies."""

    data: list[AnomalyShape] = Field(description="What stands out, newest first.")


class AnomalyAnswer(AnomalyShape, Answered):
    """One finding."""


class MuteShape(Shape):
    """What of a source is not to be told."""

    source: str = Field(description="The source.")
    created_at: Moment = Field(description="Since when.")
    metric: str = Field(description='The figure; "": every one.')
    subject: str = Field(description='The record, entity or field; "": every one.')
    until: Moment | None = Field(description="Until when; null: until it is removed.")
    reason: str | None = Field(description="Why.")
    created_by: str | None = Field(description="Who said so: the name of a key, or cli.")
    mute_id: int = Field(description="The id of the mute.")
    in_effect: bool = Field(description="Whether it holds now.")


class MutesAnswer(Paged):
    """All mutes."""

    data: list[MuteShape] = Field(description="Mutes, by source, metric and subject.")


class MuteAnswer(MuteShape, Answered):
    """One mute."""
