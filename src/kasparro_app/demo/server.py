"""A small API on loopback that serves market pages as CoinGecko does: numbered pages, weak ETags, `[]` at the end."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

PATH = "/api/v3/coins/markets"
_LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def sample_api(rows: Sequence[dict[str, Any]], listening: socket.socket | None = None) -> AsyncIterator[str]:
    """Serve the rows while the context is open, on that socket or any free port; yields the address of the pages."""
    app = web.Application()
    app.router.add_get(PATH, _Pages(rows).answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    chosen = sample_socket() if listening is None else listening
    try:
        await web.SockSite(runner, chosen).start()
        yield pages_address(chosen)
    finally:
        await runner.cleanup()


def sample_socket() -> socket.socket:
    """A socket on any free port of loopback."""
    return socket.create_server((_LOOPBACK, 0))


def pages_address(listening: socket.socket) -> str:
    """Where the market pages are served on a socket."""
    return f"http://{_LOOPBACK}:{listening.getsockname()[1]}{PATH}"


class _Pages:
    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = rows

    async def answer(self, request: web.Request) -> web.Response:
        """One page, or 304 when the caller has it."""
        page = _number(request, "page", 1)
        size = _number(request, "per_page", 100)
        body = json.dumps(self._rows[(page - 1) * size : page * size]).encode()
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": etag})


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise web.HTTPBadRequest(text=json.dumps({"error": f"{name} must be a positive number"}))
    return int(text)
