"""An operation of the API: what is asked, what is answered, who may. Routes, validation and OpenAPI come from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from kasparro_app.service import Service


class Parameters(BaseModel):
    """Base of the models of query, path and header parameters: frozen, and closed against unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Call:
    """A validated request. `query`, `path` and `headers` are instances of the operation's models (None when it has
    none); `started` is the reading of `time.perf_counter` at which the request came in."""

    request: Request
    service: Service
    request_id: str
    started: float
    query: Any = None
    path: Any = None
    headers: Any = None


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One documented answer. `model` describes its JSON; `media` its other content types (schema: string)."""

    description: str
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    event: type[BaseModel] | None = None
    """Describes one event of text/event-stream."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header name to description."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `answers` names what this operation answers beside what every operation can: 422 (with parameters), 401, 403, 429,
    500 and 503 are added by the registry. `scope`: None for reads, else the least scope of the key. `aliases`: further
    paths that do the same.
    """

    method: Literal["GET", "POST"]
    path: str
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    tag: str
    query: type[Parameters] | None = None
    path_model: type[Parameters] | None = None
    headers: type[Parameters] | None = None
    scope: Literal["trigger", "admin"] | None = None
    aliases: tuple[str, ...] = ()
    description: str = ""
    documented: bool = True
    open: bool = False
    """Never needs a key, whatever `require_key_for_reads` says (health)."""
