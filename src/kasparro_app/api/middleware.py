"""What stands round every request: its id, its trace in log and figures, safe headers, hosts, bodies with an end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kasparro_app.api import http_metrics
from kasparro_app.api.auth import presented_keys
from kasparro_app.api.context import RequestContext, begin_context
from kasparro_app.api.errors import GONE_CLIENT
from kasparro_app.api.problems import Problem
from kasparro_app.api.registry import Table

_access = logging.getLogger("kasparro_app.api.access")
CONTENT_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_POLICY,
}
_PUBLIC: Final = "no-cache"
"""Answers may be kept, and have to be asked for again each time (ETag)."""


class Trace:
    """ASGI: gives a request its id, finds its route, and tells log and figures how it went."""

    def __init__(self, app: ASGIApp, table: Table) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. The id stands in `X-Request-ID` of the answer and in every log line meanwhile."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = begin_context(scope)
        self._table.resolve(scope)
        status = GONE_CLIENT

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = context.request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=context.request_id):
            try:
                await self._app(scope, receive, watched)
            finally:
                _note(scope, context, status)


class SafeHeaders:
    """ASGI: headers that keep browsers from guessing, framing and leaking, unless the answer has its own.

    What was asked for with a key is kept by nobody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        private = scope["type"] == "http" and bool(presented_keys(Headers(scope=scope)))

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE.items():
                    headers.setdefault(name, value)
                if private:
                    headers["Cache-Control"] = "no-store"
                else:
                    headers.setdefault("Cache-Control", _PUBLIC)
            await send(message)

        await self._app(scope, receive, safe)


class Hosts:
    """ASGI: answers to these host names alone, so that a page elsewhere cannot reach a service on this machine by a
    name of its own (DNS rebinding). Starlette's middleware judges; the refusal is a problem like all others."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._judge = TrustedHostMiddleware(_accept, allowed_hosts=names, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or raise Problem (400)."""
        if scope["type"] == "http":
            await self._judge(scope, receive, _unsent)
            if not scope.pop(_ACCEPTED, False):
                raise Problem(400, "Bad Request", "This service does not answer to that host name (api.trusted_hosts).")
        await self._app(scope, receive, send)


class Bodies:
    """ASGI: a request's body has to come whole within `seconds`, and may have at most `max_bytes`, announced or not."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Raises Problem: 413 for a length that is announced; where the body is read, 413 and
        408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal():
            self._check(int(announced))
        deadline = asyncio.get_running_loop().time() + self._seconds
        coming, length = True, 0

        async def watched() -> Message:
            nonlocal coming, length
            if not coming:  # what is waited for now is the caller's hanging up, which may take as long as it likes
                return await receive()
            message = await self._received(receive, deadline)
            length += len(message.get("body", b""))
            self._check(length)
            coming = message.get("more_body", False)
            return message

        await self._app(scope, watched, send)

    def _check(self, length: int) -> None:
        if length > self._max_bytes:
            raise Problem(413, "Body too long", f"A body may have at most {self._max_bytes} bytes.", headers=_CLOSE)

    async def _received(self, receive: Receive, deadline: float) -> Message:
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            detail = f"The body did not come within {self._seconds:g} seconds."
            raise Problem(408, "Request Timeout", detail, headers=_CLOSE) from None


_CLOSE: Final = {"Connection": "close"}
"""What is left of the body is not waited for."""
_ACCEPTED: Final = "kasparro.host_accepted"


async def _accept(scope: Scope, _receive: Receive, _send: Send) -> None:
    scope[_ACCEPTED] = True


async def _unsent(message: Message) -> None:
    """The refusal of the library is not sent; ours is."""


def _note(scope: Scope, context: RequestContext, status: int) -> None:
    """The access line has the path as it was sent (percent-encoded, so it cannot forge a line), never the query."""
    seconds = time.perf_counter() - context.started
    http_metrics.observe(context.template, scope["method"], status, seconds)
    path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "backslashreplace")
    level = logging.DEBUG if context.is_open else logging.INFO  # probes come every few seconds
    _access.log(level, "%s %s %d in %.1f ms", scope["method"], path, status, seconds * 1000)
