"""One process that serves by itself."""

from __future__ import annotations

import socket
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn import Config, Server

from kasparro_app.serving.connections import Connection
from kasparro_app.serving.ending import Ending
from kasparro_app.serving.front import Front

KEEP_ALIVE = 15
"""Seconds that a connection may be idle."""

LEAVE_TAKING = 3
"""Seconds that answers under way have to be read once the process is told to end."""

WORKER_SILENCE = 30
"""Seconds without any sign of life after which a worker is replaced; loading its libraries may take some."""

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers, at most."""


def server_config(app: ASGIApp | Callable[[], ASGIApp], *, workers: int = 1) -> Config:
    """How uvicorn serves an app, or by several workers the app that each of them makes. Its own log is left out:
    requests are told by the app."""
    return Config(
        app,
        factory=workers > 1,
        workers=workers,
        interface="asgi3",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=LEAVE_TAKING,
        timeout_worker_healthcheck=WORKER_SILENCE,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )


def serve_alone(build: Callable[[], Starlette], listening: socket.socket, ending: Ending) -> None:
    """Serve until the process is told to end. Raises what ended it otherwise."""
    Server(server_config(Front(build, ending))).run(sockets=[listening])
    if ending.error is not None:
        raise ending.error
