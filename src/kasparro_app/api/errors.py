"""What becomes of an exception while a request is handled: an RFC 9457 `application/problem+json` answer."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kasparro_app.api.answers import json_text
from kasparro_app.api.context import context_of
from kasparro_app.api.problems import Problem
from kasparro_core.errors import ConflictError, StorageError

MEDIA: Final = "application/problem+json"
RETRY_AFTER: Final = 2
"""Seconds that callers are asked to wait when the database fails: it is asked anew with every request."""
GONE_CLIENT: Final = 499
"""The status noted for a caller who hung up before the answer (nobody is sent it)."""
_log = logging.getLogger("kasparro_app.api")


def problem_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """The members of a problem (RFC 9457, 3.1). `type` is `about:blank` where the title is the status's own phrase."""
    body: dict[str, Any] = {
        "type": _type_of(problem),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if problem.faults:
        body["errors"] = [asdict(fault) for fault in problem.faults]
    return {**body, **problem.extra}


def problem_answer(problem: Problem, request_id: str) -> Response:
    """The answer that tells a problem."""
    text = json_text(problem_body(problem, request_id))
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(text.encode(), problem.status, headers, MEDIA)


def problem_of(error: Exception) -> Problem:
    """What a caller is told of an exception. Of faults of the database and of bugs the log has the details, never the
    answer: they may name hosts, files and statements."""
    match error:
        case Problem():
            return error
        case StorageError():
            return Problem(
                503,
                "Database unavailable",
                "The database cannot be asked just now. Try again later.",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        case ConflictError():
            return Problem(409, "Conflict", str(error))
        case _:
            return Problem(
                500, "Internal Server Error", "This is a bug in Kasparro. Its log tells more under this request_id."
            )


class Faults:
    """ASGI: answers whatever is raised below. This is the outermost edge of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Once an answer has begun, an exception goes on up, so that the server cuts the
        connection and the caller does not take half an answer for a whole one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            _log.debug("the caller hung up")
        except Exception as error:  # the outermost edge: whatever it is, the caller is answered
            _tell(error)
            if started:
                raise
            answer = problem_answer(problem_of(error), context_of(scope).request_id)
            await answer(scope, receive, send)


def _tell(error: Exception) -> None:
    """Note in the log what an operator has to know."""
    if isinstance(error, StorageError):
        _log.error("the database failed: %s", error)
    elif not isinstance(error, Problem | ConflictError):
        _log.error("a bug while handling a request", exc_info=error)


def _type_of(problem: Problem) -> str:
    if problem.title.casefold() == HTTPStatus(problem.status).phrase.casefold():
        return "about:blank"
    return "urn:kasparro:problem:" + re.sub(r"[^a-z0-9]+", "-", problem.title.lower()).strip("-")
