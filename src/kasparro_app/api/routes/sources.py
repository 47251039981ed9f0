"""/sources: what is configured (without secrets), how it did, and its schedule, which can be paused."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starlette.responses import Response

from kasparro_app.api.answers import json_answer, page_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.api.problems import Problem, not_found
from kasparro_app.api.shapes.common import NamePath
from kasparro_app.api.shapes.sources import ScheduleAnswer, SourceAnswer, SourcesAnswer
from kasparro_app.config.faults import near
from kasparro_app.service import Service
from kasparro_app.sources_view import schedule_view, source_views, whole_source_view

_UNKNOWN: Final = Answer("No source of that name is configured.", ProblemBody)
_NO_SCHEDULE: Final = Answer("The source has no schedule.", ProblemBody)


async def sources(call: Call) -> Response:
    """All configured sources, by name."""
    service = call.service
    async with service.store.begin(write=False) as work:
        views = await source_views(work, service.settings.sources, service.clock.now())
    return page_answer(call, views, limit=len(views), next_cursor=None)


async def source(call: Call) -> Response:
    """One source. Raises Problem: 404."""
    service, name = call.service, known_source(call.service, call.path.name)
    async with service.store.begin(write=False) as work:
        view = await whole_source_view(work, name, service.settings.sources[name], service.clock.now())
    return json_answer(call, view)


async def pause(call: Call) -> Response:
    """Take no further slots. Raises Problem: 404, 409."""
    return await _set_pause(call, call.service.clock.now())


async def resume(call: Call) -> Response:
    """Take slots again. Raises Problem: 404, 409."""
    return await _set_pause(call, None)


async def _set_pause(call: Call, at: datetime | None) -> Response:
    name = known_source(call.service, call.path.name)
    async with call.service.store.begin() as work:
        if not await work.schedules.pause(name, at):
            raise Problem(409, "No schedule", f"Source {name!r} has no schedule: it is started by hand.")
        state = await work.schedules.get(name)
        await work.commit()
    if state is None:
        raise RuntimeError("a schedule was changed that is not there")
    return json_answer(call, {"source": name, **schedule_view(state)})


def known_source(service: Service, name: str) -> str:
    """The name, if it is that of a source. Raises Problem (404) with a near name."""
    if name not in service.settings.sources:
        raise not_found(f"Unknown source {name!r}{near(name, service.settings.sources)}")
    return name


OPERATIONS: Final = (
    Operation(
        "GET",
        "/sources",
        "The configured sources",
        sources,
        {200: Answer("All of them, by name.", SourcesAnswer)},
        "sources",
        description="Configuration without secrets, schedule, freshness, newest run. One page holds them all.",
    ),
    Operation(
        "GET",
        "/sources/{name}",
        "One source",
        source,
        {200: Answer("The source with its partitions and newest slots.", SourceAnswer), 404: _UNKNOWN},
        "sources",
        path_model=NamePath,
    ),
    Operation(
        "POST",
        "/sources/{name}/pause",
        "Pause a schedule",
        pause,
        {200: Answer("It is paused.", ScheduleAnswer), 404: _UNKNOWN, 409: _NO_SCHEDULE},
        "sources",
        path_model=NamePath,
        scope="trigger",
        description="No further slot is taken, in any process. A run under way goes on. Again: nothing changes.",
    ),
    Operation(
        "POST",
        "/sources/{name}/resume",
        "Let a paused schedule go on",
        resume,
        {200: Answer("It goes on.", ScheduleAnswer), 404: _UNKNOWN, 409: _NO_SCHEDULE},
        "sources",
        path_model=NamePath,
        scope="trigger",
        description="Slots that passed meanwhile do not pile up: one is due at once, the others count as missed.",
    ),
)
