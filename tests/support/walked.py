"""An upstream on loopback that serves one list by every kind of paging, and says where it was asked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SIZE = 3
PAGING = {
    "page": f'{{ type = "page", param = "page", size_param = "n", size = {SIZE} }}',
    "offset": f'{{ type = "offset", param = "offset", size_param = "n", size = {SIZE} }}',
    "cursor": '{ type = "cursor", param = "token", path = "next" }',
    "next_link": '{ type = "next_link", path = "next" }',
    "link_header": '{ type = "link_header" }',
}


class Walked:
    """Serves `rows` at /KIND, SIZE a page; with `since=T` those whose `at` is T or later. `documents` are served under
    their names.

    `asked` holds (kind, index of the first row asked for) of every request; `hook(kind, index)` is called before each
    answer, and may name a status to answer with instead.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[tuple[str, int]] = []
        self.since: list[str | None] = []
        self.hook: Callable[[str, int], int | None] = lambda kind, index: None
        self.documents: dict[str, bytes] = {}
        self.url = ""
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Remember nothing of what was asked."""
        self.asked, self.since = [], []

    def config(self, kind: str, *lines: str) -> str:
        """The source of this kind for kasparro.toml, named like its kind."""
        records = [] if kind in ("page", "offset", "link_header") else ['records = "items"']
        head = [f"[sources.{kind}]", 'type = "http"', f'url = "{self.url}/{kind}"', "allow_private_hosts = true"]
        own = [f"paginate = {PAGING[kind]}", *records, *lines]
        return "\n".join([*head, *own, f"[sources.{kind}.mapping]", 'key = "id"', 'value = "price"', ""])

    def answer(self, path: str, query: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        kind = path.strip("/")
        given = {name: values[0] for name, values in parse_qs(query).items()}
        index = _index(kind, given)
        with self._lock:
            self.asked.append((kind, index))
            self.since.append(given.get("since"))
        if (status := self.hook(kind, index)) is not None:
            return status, {}, b"{}"
        if kind in self.documents:
            return 200, {}, self.documents[kind]
        found = [row for row in self.rows if row.get("at", "") >= given.get("since", "")]
        rows, more = found[index : index + SIZE], index + SIZE < len(found)
        after = f"/{kind}?token={index + SIZE}" if more else None
        if kind == "link_header":
            return 200, {"Link": f'<{after}>; rel="next"'} if after else {}, json.dumps(rows).encode()
        if kind in ("cursor", "next_link"):
            following = after if kind == "next_link" else str(index + SIZE) if more else None
            return 200, {}, json.dumps({"items": rows, "next": following}).encode()
        return 200, {}, json.dumps(rows).encode()


def _index(kind: str, given: dict[str, str]) -> int:
    if "page" in given:
        return (int(given["page"]) - 1) * SIZE
    return int(given.get("offset", given.get("token", "0")))


@contextmanager
def walking(walked: Walked) -> Iterator[Walked]:
    """Serve on a free loopback port for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, headers, body = walked.answer(parts.path, parts.query)
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True  # the reader was killed

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A killed reader resets its connection: nothing worth a traceback."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    walked.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield walked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
