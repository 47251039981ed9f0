"""An upstream on loopback that can be asked conditionally, or not: what it has, says of it, and was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request: its page, whether it was conditional, the status and how many bytes of body it was answered with."""

    page: int
    conditional: bool
    status: int
    sent: int


@dataclass
class Listing:
    """Rows in pages of `size` at /items?page=N. `tags`: pages have ETags, and those that did not change are answered
    304. `hook` is called with the page when a request came, `after` when its answer has been sent."""

    rows: list[dict[str, Any]]
    size: int
    tags: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    hook: Callable[[int], None] = lambda page: None
    after: Callable[[int], None] = lambda page: None
    url: str = ""

    def answer(self, query: str, condition: str | None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        page = int(parse_qs(query).get("page", ["1"])[0])
        self.hook(page)
        body = json.dumps(self.rows[(page - 1) * self.size : page * self.size]).encode()
        tag = {"ETag": f'"{sha256(body).hexdigest()[:16]}"'} if self.tags else {}
        same = self.tags and condition == tag["ETag"]
        self.asked.append(Asked(page, condition is not None, 304 if same else 200, 0 if same else len(body)))
        return self.asked[-1].status, {**tag, **self.headers}, b"" if same else body

    def take(self) -> list[Asked]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked


@contextmanager
def listed(listing: Listing) -> Iterator[Listing]:
    """Serve it on a free loopback port for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, headers, body = listing.answer(parts.query, self.headers.get("If-None-Match"))
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
            except ConnectionError:
                self.close_connection = True  # the reader was killed, which is what some tests are about
            listing.after(int(parse_qs(parts.query).get("page", ["1"])[0]))

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    listing.url = f"http://127.0.0.1:{server.server_port}/items"
    try:
        yield listing
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
