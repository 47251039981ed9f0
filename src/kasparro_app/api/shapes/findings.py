"""What needs a person: rejections, drift."""

from __future__ import annotations

from pydantic import Field

from kasparro_app.api.shapes.common import Exact, Moment, Paged, Shape
from kasparro_core.model import RejectionState, Stage


class RejectionShape(Shape):
    """A refused item, or (stage field) a refused value."""

    rejection_id: int = Field(description="The id of the rejection.")
    source: str = Field(description="The source it came from.")
    partition: str = Field(description='The part of the source; "" is the whole.')
    run_id: int = Field(description="The run that saw it last.")
    raw_id: int | None = Field(description="The stored payload it stands in.")
    raw_index: int = Field(description="Its place in the payload, from 0.")
    stage: Stage = Field(description="Where it failed; field: the item was kept, one value became null.")
    code: str = Field(description="A short stable word for the fault.")
    path: str = Field(description='The field ("quotes.USD.price") or "line 17".')
    message: str = Field(description="What was expected and found.")
    payload: str = Field(description="The item (or value) as the source gave it, as JSON text.")
    state: RejectionState = Field(description="open until the item's key loads, or a person gives it up.")
    times: int = Field(description="How often it was seen.")
    first_seen_at: Moment = Field(description="When it was seen first.")
    last_seen_at: Moment = Field(description="When it was seen last.")
    closed_at: Moment | None = Field(description="When what resolved or dropped it was seen or done; open: null.")
    key: str | None = Field(description="The record key, where it is known.")


class RejectionsAnswer(Paged):
    """A page of rejections."""

    data: list[RejectionShape] = Field(description="Rejections, newest first.")


class DriftShape(Shape):
    """A change of a source's shape."""

    drift_id: int = Field(description="The id of the finding.")
    source: str = Field(description="The source that changed.")
    partition: str = Field(description='The part of the source; "" is the whole.')
    run_id: int = Field(description="The run that noticed it.")
    detected_at: Moment = Field(description="When it was noticed.")
    change: str = Field(description="added, removed, retyped, renamed or nullability.")
    path: str = Field(description="The field's dotted path.")
    before: str | None = Field(description="What was remembered.")
    after: str | None = Field(description="What was found.")
    confidence: Exact | None = Field(description="How sure a renaming is, from 0 to 1.")
    action: str = Field(description="What the source's rule for drift did.")


class DriftAnswer(Paged):
    """A page of drift events."""

    data: list[DriftShape] = Field(description="Changes of shape, newest first.")
