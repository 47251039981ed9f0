"""What every operation can answer beside its own: the shape of problems, and when they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class FaultBody(BaseModel):
    """One bad parameter."""

    parameter: str
    place: str = Field(description="query, path, header or body")
    expected: str
    found: str | None = None


class ProblemBody(BaseModel):
    """A problem (RFC 9457)."""

    model_config = ConfigDict(title="Problem", extra="allow")

    type: str = Field(description="about:blank where the title is the status's own phrase, else a URN")
    title: str
    status: int
    detail: str = Field(description="what to do about it")
    request_id: str
    errors: list[FaultBody] = Field(default_factory=list, description="the parameters at fault (422)")


@dataclass(frozen=True, slots=True)
class General:
    """`with_key`: only where a key is asked for; `with_body`: only where a request may have a body."""

    description: str
    headers: Mapping[str, str] = field(default_factory=dict)
    with_key: bool = False
    with_body: bool = False


_CHALLENGE: Final = {"WWW-Authenticate": "How to send a key (RFC 6750)."}
_LATER: Final = {"Retry-After": "Seconds to wait."}

GENERAL: Final[Mapping[int, General]] = {
    400: General("The host name is not one this service answers to."),
    401: General("There is no valid key.", _CHALLENGE, with_key=True),
    403: General("The key's scope is not enough.", _CHALLENGE, with_key=True),
    408: General("The body did not come in time.", with_body=True),
    413: General("The body is too long.", with_body=True),
    422: General("A parameter is unknown, given twice, or cannot be taken; `errors` names it."),
    429: General(
        "Above the rate limit (`api.rate_limit`).",
        {
            **_LATER,
            "RateLimit-Limit": "Requests in a window.",
            "RateLimit-Remaining": "Requests left in this one.",
            "RateLimit-Reset": "Seconds until the next one.",
        },
    ),
    500: General("A bug; the log tells more under the request_id."),
    503: General("The database cannot be asked just now.", _LATER),
}
