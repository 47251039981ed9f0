"""A small upstream on loopback for child processes to read: pages of quotes, with a hook before each answer."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Upstream:
    """Serves `rows` at /items?page=N&per_page=M (1-based) and counts what it was asked for.

    `hook(request number)` is called before each answer is sent; requests are numbered from 1 since the last `forget`.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.hook: Callable[[int], None] = lambda number: None
        self.asked: list[int] = []
        self._lock = threading.Lock()
        self.url = ""

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.asked = []

    def page(self, query: str) -> bytes:
        """The body of one page."""
        parameters = parse_qs(query)
        page, size = int(parameters["page"][0]), int(parameters["per_page"][0])
        with self._lock:
            self.asked.append(page)
            number = len(self.asked)
        self.hook(number)
        return json.dumps(self.rows[(page - 1) * size : page * size]).encode()


@contextmanager
def serving(upstream: Upstream) -> Iterator[Upstream]:
    """Serve on a free loopback port for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = upstream.page(urlsplit(self.path).query)
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the reader was killed, which is what these tests are about

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A killed reader resets its connection: nothing worth a traceback."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    upstream.url = f"http://127.0.0.1:{server.server_port}/items"
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
