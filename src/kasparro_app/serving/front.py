"""What answers while the application is still being loaded, and hands on to it from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from kasparro_app.serving.ending import Ending

_ALIVE = "/health/live"

_THREADS = 128
"""Threads for what blocks: name look-ups, files, decoding. By default there are a few more than processors, and as many
names that cannot be looked up would hold up the database's own connections and locks for minutes."""


class Front:
    """An ASGI application. The libraries of the service take seconds to load on a slow machine, and an orchestrator
    asks at once whether the process lives: it does. Everything else is 503 until the application is there.

    `build` makes the application, in a thread.
    """

    def __init__(self, build: Callable[[], Starlette], ending: Ending) -> None:
        self._build = build
        self._ending = ending
        self._app: Starlette | None = None
        self._answered = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._answer(self._app, scope, receive, send)
        else:
            await _meanwhile(scope["path"])(scope, receive, send)

    async def _answer(self, app: Starlette, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:  # the server has waited long enough for whoever does not read the answer
            if not self._ending.stopping.is_set():
                raise

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "kasparro"))
        self._ending.guard()
        loading = asyncio.create_task(self._load(), name="application")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._ending.stopping.set()
        self._answered.set()
        await loading
        self._ending.over()
        await send({"type": "lifespan.shutdown.complete"})

    async def _load(self) -> None:
        """The application stays open until the answers under way have been read, or given up."""
        try:
            app = await asyncio.to_thread(self._build)
            self._ending.opening()
            async with app.router.lifespan_context(app):
                self._app = app
                await self._answered.wait()
        except Exception as error:  # noqa: BLE001 - the outermost edge of the service: it cannot be there, and ends
            self._ending.fail(error)


def _meanwhile(path: str) -> Response:
    if path == _ALIVE:
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})
    request_id = uuid4().hex
    body = {
        "type": "urn:kasparro:problem:starting",
        "title": "Starting",
        "status": 503,
        "detail": "The service is starting. Ask again in a moment.",
        "request_id": request_id,
    }
    return JSONResponse(body, 503, {"Retry-After": "1", "X-Request-ID": request_id}, "application/problem+json")
