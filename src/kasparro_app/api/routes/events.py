"""/events: server-sent events (the format of the HTML standard, "9.2 Server-sent events")."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from kasparro_app.api.answers import json_text
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.shapes.common import Line, Shape
from kasparro_app.feed import EventFeed, Gap
from kasparro_app.ids import MOST_ID
from kasparro_core.errors import StorageError
from kasparro_core.model import Event

MEDIA: Final = "text/event-stream"
HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment tells that the connection still stands."""
RETRY: Final = 2000
"""Milliseconds after which a browser comes back."""
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_log = logging.getLogger("kasparro_app.api")


class EventsQuery(Parameters):
    """Where to begin, and what to tell."""

    last_event_id: int | None = Field(
        None, ge=0, le=MOST_ID, description="Go on behind this event. The header Last-Event-ID goes before it."
    )
    source: Line | None = Field(None, description="Only events of this source.")


class EventsHeaders(Parameters):
    """What a browser sends when it comes back."""

    last_event_id: int | None = Field(
        None, alias="Last-Event-ID", ge=0, le=MOST_ID, description="The id of the last event that was seen."
    )


class SentEvent(Shape):
    """One server-sent event, field by field."""

    id: str = Field(description="The event_id: what Last-Event-ID goes on behind.")
    event: str = Field(description="The type of the event, or `reset`.")
    data: str = Field(description="A JSON object on one line: event_id, type, source, run_id, at, data.")
    retry: int | None = Field(None, description="Milliseconds after which to come back; sent once.")


async def events(call: Call) -> Response:
    """The stream. What cannot be read before it begins is an ordinary problem. Raises StorageError."""
    feed = call.service.feed
    seen = call.headers.last_event_id
    after = call.query.last_event_id if seen is None else seen
    gap = None
    if after is None:
        after = await feed.last_id()
    elif (gap := await feed.gap(after)) is not None:
        after = gap.upto
    lines = _stream(feed, after, gap, call.query.source)
    return StreamingResponse(lines, media_type=MEDIA, headers=_HEADERS)


async def _stream(feed: EventFeed, after: int, gap: Gap | None, source: str | None) -> AsyncIterator[str]:
    yield f"retry: {RETRY}\n: connected\n\n" if gap is None else f"retry: {RETRY}\n{_reset(gap)}"
    try:
        async with aclosing(feed.listen(after, patience=HEARTBEAT)) as pages:
            async for page in pages:
                told = [event_lines(event) for event in page if source in (None, event.source)]
                yield "".join(told) or _silence(page[-1].event_id if page else None)
    except StorageError as error:  # the answer has begun: the caller comes back and goes on from the last event
        _log.warning("an event stream ended: %s", error)


def event_lines(event: Event) -> str:
    """One event. Its data is one line of JSON."""
    return _lines(event.event_id, str(event.type), event_body(event))


def event_body(event: Event) -> dict[str, Any]:
    """What the data line of an event holds."""
    return {
        "event_id": event.event_id,
        "type": str(event.type),
        "source": event.source,
        "run_id": event.run_id,
        "at": event.at,
        "data": event.data,
    }


def _reset(gap: Gap) -> str:
    return _lines(gap.upto, "reset", {"after": gap.after, "upto": gap.upto})


def _silence(upto: int | None) -> str:
    """A comment; an id alone moves the place where a browser goes on, without an event."""
    return ": nothing new\n\n" if upto is None else f"id: {upto}\n\n"


def _lines(event_id: int, name: str, data: Mapping[str, Any]) -> str:
    return f"id: {event_id}\nevent: {name}\ndata: {json_text(data)}\n\n"


OPERATIONS: Final = (
    Operation(
        "GET",
        "/events",
        "What happens, as it happens",
        events,
        {200: Answer("Server-sent events, without end.", media=(MEDIA,), event=SentEvent)},
        "events",
        query=EventsQuery,
        headers=EventsHeaders,
        description=(
            "Events of every process, runs of the command line included: run.started, batch.committed, run.finished, "
            "drift, anomaly, feed.gap, feed.gone, feed.moved, records.gone, gone.refused, entities.merged, "
            "entities.split, entities.undone. The data of each is a JSON object with event_id, type, source, run_id, "
            "at and data. Begins with what happens from now on, or behind "
            "the event that is named. An event `reset` tells that events up to its id are not kept any more: read anew "
            "what they told. A comment comes every 15 seconds of silence."
        ),
    ),
)
