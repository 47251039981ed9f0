"""/health: what an operator asks; /health/live and /health/ready: what an orchestrator asks."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.api.problems import Problem
from kasparro_app.api.shapes.health import HealthAnswer, LiveAnswer, ReadyAnswer
from kasparro_app.container import Container
from kasparro_app.health import health_view
from kasparro_core.errors import StorageError

_RETRY: Final = {"Retry-After": "2"}


async def health(call: Call) -> Response:
    """Database, scheduler and the newest run of each source. Raises Problem (503) without the database."""
    service = call.service
    try:
        vitals, milliseconds = await service.vitals.ask()
    except StorageError as error:
        extra = {"database": {"reachable": False}, "scheduler": {"enabled": service.options.scheduler}}
        raise _unavailable(
            "Database unavailable", "The database does not answer. The log says more.", **extra
        ) from error
    body = health_view(
        vitals,
        service.settings.sources,
        scheduler=service.options.scheduler,
        running=service.desk.running,
        milliseconds=milliseconds,
    )
    return json_answer(call, body, headers={"Cache-Control": "no-store"})


async def live(call: Call) -> Response:
    """The process answers; no input or output of any kind."""
    return json_answer(call, {"status": "alive"}, headers={"Cache-Control": "no-store"})


async def ready(call: Call) -> Response:
    """The schema is this program's, and the process is not being stopped. Raises Problem (503)."""
    if call.service.stopping.is_set():
        raise _unavailable("Stopping", "This process is being stopped.")
    head = Container.schema_head()
    try:
        revision, _ = await call.service.revision.ask()
    except StorageError as error:
        raise _unavailable("Database unavailable", "The database does not answer. The log says more.") from error
    if revision != head:
        found = "no tables yet" if revision is None else f"schema {revision}"
        raise _unavailable("Schema not ready", f"The database has {found}, this program needs schema {head}.")
    return json_answer(call, {"status": "ready", "schema_revision": head}, headers={"Cache-Control": "no-store"})


def _unavailable(title: str, detail: str, **extra: Any) -> Problem:
    return Problem(503, title, detail, headers=_RETRY, extra=extra)


_LATER: Final = {"Retry-After": "Seconds to wait."}
OPERATIONS: Final = (
    Operation(
        "GET",
        "/health",
        "How the service does",
        health,
        {
            200: Answer("Database, scheduler, and the newest run of each source.", HealthAnswer),
            503: Answer("The database does not answer.", ProblemBody, headers=_LATER),
        },
        "health",
        open=True,
    ),
    Operation(
        "GET",
        "/health/live",
        "Whether the process answers",
        live,
        {200: Answer("It does.", LiveAnswer)},
        "health",
        open=True,
        description="Asks nothing else: a database that is away is no reason to restart the process.",
    ),
    Operation(
        "GET",
        "/health/ready",
        "Whether the service can do its work",
        ready,
        {
            200: Answer("The database answers and has this program's schema.", ReadyAnswer),
            503: Answer("Not yet, not now, or not any more.", ProblemBody, headers=_LATER),
        },
        "health",
        open=True,
    ),
)
