"""A small upstream on loopback for child processes to read: pages of quotes and whole documents, a log of what was
asked and sent, and hooks around each answer."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Upstream:
    """Serves `rows` in pages, `documents` by their paths, and keeps a log.

    Pages are at /items?per_page=M by number (page=N, from 1) or by offset (offset=K), as JSON arrays, and at
    /tokens?per_page=M by token (token=tN), as objects with `items` and, where another page follows, `next`.

    `hook(request number)` is called before each page is sent and `after(request number)` after it; requests are
    numbered from 1 since the last `forget`. `asked` are the pages asked for since then; `sent` are the SHA-256 of all
    bodies that were sent, or begun, since the upstream is there.
    """

    def __init__(self, rows: list[dict[str, Any]], documents: Mapping[str, tuple[str, bytes]] | None = None) -> None:
        self.rows = rows
        self.documents = documents or {}
        self.hook: Callable[[int], None] = lambda number: None
        self.after: Callable[[int], None] = lambda number: None
        self.asked: list[int] = []
        self.sent: set[str] = set()
        self._lock = threading.Lock()
        self.url = ""

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.asked = []

    def begin_anew(self) -> None:
        """As if nobody had ever asked."""
        self.hook = self.after = lambda number: None
        with self._lock:
            self.asked, self.sent = [], set()

    def answer(self, address: str) -> tuple[str, bytes, int]:
        """Content type and body for a path with its query, and the number of the request (0: it is no page)."""
        parts = urlsplit(address)
        if parts.path in self.documents:
            kind, body, number = *self.documents[parts.path], 0
        else:
            kind, (body, number) = "application/json", self.page(parts.query, tokens=parts.path == "/tokens")
        with self._lock:
            self.sent.add(sha256(body).hexdigest())
        return kind, body, number

    def status(self, address: str) -> int:
        """How a path is answered."""
        return 200

    def bodies(self) -> frozenset[str]:
        """The SHA-256 of what was sent so far."""
        with self._lock:
            return frozenset(self.sent)

    def page(self, query: str, *, tokens: bool = False) -> tuple[bytes, int]:
        """The body of one page, and the number of its request."""
        given = {name: values[0] for name, values in parse_qs(query).items()}
        size = int(given["per_page"])
        page = (
            int(given["offset"]) // size + 1
            if "offset" in given
            else int(given.get("page") or given.get("token", "t1")[1:])
        )
        with self._lock:
            self.asked.append(page)
            number = len(self.asked)
        self.hook(number)
        rows = self.rows[(page - 1) * size : page * size]
        following = {"next": f"t{page + 1}"} if page * size < len(self.rows) else {}
        return json.dumps({"items": rows, **following} if tokens else rows).encode(), number


@contextmanager
def serving(upstream: Upstream) -> Iterator[Upstream]:
    """Serve on a free loopback port for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, body, number = upstream.answer(self.path)
            try:
                self.send_response(upstream.status(self.path))
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
                upstream.after(number)
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
