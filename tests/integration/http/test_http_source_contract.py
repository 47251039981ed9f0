"""HttpSource over a real server keeps the contract of every Source."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.http import AiohttpFetcher, HttpSource, HttpSourceConfig, JsonDecoder
from kasparro_core.testing import SourceContract
from kasparro_core.testing.sources import START

ROWS = [{"id": n, "name": f"row {n}"} for n in range(1, 12)]
SIZE = 3


class Handler(BaseHTTPRequestHandler):
    """Pages of ROWS at any path: by token, by Link header, by page; `[7]` among them is an element to reject."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        at = int(query.get("cursor", query.get("at", ["0"]))[0])
        if "page" in query:
            at = (int(query["page"][0]) - 1) * SIZE
        more = str(at + SIZE) if at + SIZE < len(ROWS) else None
        body = json.dumps({"items": [*ROWS[at : at + SIZE], 7], "next": more}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        if more:
            self.send_header("Link", f'</x?at={more}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Keep the test's output quiet."""


@pytest.fixture(scope="module")
def address():
    """A server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x"
    server.shutdown()
    server.server_close()
    thread.join()


class AtTheStart(SystemClock):
    """Says the instant at which the contract's reads begin: pages were read just now."""

    def now(self):
        return START


class _OverHttp(SourceContract):
    paginate: dict[str, object]

    @pytest.fixture
    async def opened(self):
        """A fetcher."""
        async with AiohttpFetcher(AtTheStart()) as fetcher:
            yield fetcher

    @pytest.fixture
    def make_source(self, address, opened):
        """The source of this kind of paging."""
        given = {"type": "http", "url": address, "records": "items", "paginate": self.paginate}
        config = HttpSourceConfig.model_validate({**given, "allow_private_hosts": True})
        return lambda: HttpSource("rows", config, opened, SystemClock())

    @pytest.fixture
    def expected(self):
        """All rows, in the one partition."""
        return {"": ROWS}

    @pytest.fixture
    def decoders(self):
        """The decoder of JSON."""
        return {"json": JsonDecoder()}


class TestByToken(_OverHttp):
    """Paging by a token in the body."""

    paginate = {"type": "cursor", "path": "next"}


class TestByLinkHeader(_OverHttp):
    """Paging by the Link header."""

    paginate = {"type": "link_header"}


class TestByPage(_OverHttp):
    """Paging by number: as long as its rows have not had the time to move."""

    paginate = {"type": "page", "size": SIZE + 1}
