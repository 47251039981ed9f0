"""Parts that many answers have."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from kasparro_app.api.operation import Parameters
from kasparro_app.ids import MOST_ID

Id = Annotated[int, Field(ge=1, le=MOST_ID)]
"""An id as every store gives them out."""

Line = Annotated[
    str,
    Field(
        max_length=500,
        pattern=r"^[^\x00]*$",
        json_schema_extra={"expected": "a text of at most 500 characters, without NUL"},
    ),
]
"""A name or a code, as it stands in a filter."""

Exact = Annotated[Decimal, WithJsonSchema({"type": "number"})]
"""A Decimal: a JSON number with all its digits."""

Moment = Annotated[datetime, AwareDatetime]
"""An instant, RFC 3339 in UTC."""


class Shape(BaseModel):
    """Base of the parts of answers: closed, so that a test notices a member that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Meta(Shape):
    """About the answer itself."""

    request_id: str = Field(description="The X-Request-ID of this request.")
    api_latency_ms: float = Field(description="How long the answer took here, in milliseconds.")


class Pagination(Shape):
    """Where a page of a list stands."""

    limit: int = Field(description="At most so many rows were asked for.")
    returned: int = Field(description="How many rows this page holds.")
    next_cursor: str | None = Field(description="The `cursor` of the next page; null: this is the last one.")
    total: int | None = Field(description="Always null here: rows are not counted.")


class Answered(Shape):
    """An answer that is a single object."""

    meta: Meta = Field(description="About the answer itself.")


class Paged(Answered):
    """An answer that is a page of a list."""

    pagination: Pagination = Field(description="Where this page stands.")


class PageParameters(Parameters):
    """The paging of a list, newest first."""

    limit: int = Field(50, ge=1, le=1000, description="At most so many rows.")
    cursor: str | None = Field(None, min_length=1, max_length=2000, description="`next_cursor` of the page before.")


class NamePath(Parameters):
    """The name of a source in a path."""

    name: Line = Field(min_length=1, description="The configured name of the source.")


class RunPath(Parameters):
    """The id of a run in a path."""

    run_id: Id = Field(description="The id of the run.")
