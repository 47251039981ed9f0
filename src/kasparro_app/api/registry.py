"""All operations of the API, and the routes that serve them: one per path, aliases included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from kasparro_app.api import auth
from kasparro_app.api.context import RequestContext, context_of
from kasparro_app.api.docs_pages import OPERATIONS as DOCS
from kasparro_app.api.operation import Call, Operation
from kasparro_app.api.problems import Problem, not_found
from kasparro_app.api.routes import (
    anomalies,
    by_hand,
    compare,
    entities,
    events,
    findings,
    health,
    ledger,
    metrics,
    page,
    records,
    sources,
    triggers,
)
from kasparro_app.api.validation import read_headers, read_path, read_query
from kasparro_app.service import Service

OPERATIONS: Final[tuple[Operation, ...]] = (
    *records.OPERATIONS,
    *entities.OPERATIONS,
    *by_hand.OPERATIONS,
    *health.OPERATIONS,
    *sources.OPERATIONS,
    *ledger.OPERATIONS,
    *compare.OPERATIONS,
    *findings.OPERATIONS,
    *anomalies.OPERATIONS,
    *triggers.OPERATIONS,
    *events.OPERATIONS,
    *metrics.OPERATIONS,
    *page.OPERATIONS,
    *DOCS,
)


class Endpoint:
    """ASGI: what answers at one path, by method. HEAD is GET without its body."""

    def __init__(self, service: Service, operations: Mapping[str, Operation]) -> None:
        self._service = service
        self._operations = operations
        heads = {"HEAD"} if "GET" in operations else set()
        self._allow = ", ".join(sorted({*operations, *heads}))

    def operation(self, method: str) -> Operation | None:
        """What a method does here, None: it is not allowed."""
        return self._operations.get("GET" if method == "HEAD" else method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check scope, then parameters, then answer. Raises Problem: 405, 403, 422, and what the handler raises."""
        operation = self.operation(scope["method"])
        if operation is None:
            raise Problem(
                405,
                "Method Not Allowed",
                f"This path takes {self._allow}.",
                headers={"Allow": self._allow},
            )
        context = context_of(scope)
        auth.check_scope(context.principal, operation.scope)
        call = _call(self._service, operation, Request(scope, receive), context)
        if operation.method == "POST":
            await call.request.body()  # none is asked for, but what is sent has to keep to the limits
        answer = await operation.handler(call)
        await (_without_body(answer) if scope["method"] == "HEAD" else answer)(scope, receive, send)


class Table:
    """The routes of an app."""

    def __init__(self, service: Service, operations: Iterable[Operation]) -> None:
        paths: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
        for operation in operations:
            for path in (operation.path, *operation.aliases):
                if operation.method in paths[path]:
                    raise ValueError(f"two operations for {operation.method} {path}")
                paths[path][operation.method] = operation
        # A fixed path goes before one with parameters, whichever was declared first.
        ordered = sorted(paths, key=lambda path: ("{" in path, path))
        self._endpoints = {path: Endpoint(service, paths[path]) for path in ordered}
        self.routes: Sequence[Route] = [Route(path, endpoint) for path, endpoint in self._endpoints.items()]

    def resolve(self, scope: Scope) -> None:
        """Note in the context which path template a request belongs to, and who may call its operation. Done before
        any check, so that a refused request counts under its own route too."""
        context = context_of(scope)
        for route in self.routes:
            match, _ = route.matches(scope)
            if match is not Match.NONE:
                context.template = route.path
                operation = self._endpoints[route.path].operation(scope["method"])
                if operation is not None:
                    context.is_open, context.needs = operation.open, operation.scope
                return


async def nothing_here(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """ASGI: 404 for a path that no route takes."""
    raise not_found("There is nothing at this path. /docs shows what there is.")


def _call(service: Service, operation: Operation, request: Request, context: RequestContext) -> Call:
    scope = request.scope
    return Call(
        request=request,
        service=service,
        request_id=context.request_id,
        started=context.started,
        query=read_query(operation.query, scope["query_string"]),
        path=read_path(operation.path_model, request.path_params, scope.get("raw_path") or b""),
        headers=read_headers(operation.headers, request.headers),
    )


def _without_body(answer: Response) -> Response:
    """A stream is not begun for a caller who wants its headers alone; of other answers the server leaves out the body
    and keeps the length."""
    if isinstance(answer, StreamingResponse):
        bare = Response(status_code=answer.status_code)
        bare.raw_headers = answer.raw_headers
        return bare
    return answer
