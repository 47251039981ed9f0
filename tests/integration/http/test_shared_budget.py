"""One limited upstream, three sources in two real processes: refused at most once, and the limit well used."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from ledger import query
from served import starting

PAGES = int(os.environ.get("KASPARRO_LIMIT_PAGES", "6"))
"""So many requests each of the three sources makes; the share of the limit that is used is judged from 50 on."""

SOURCE = """
[sources.{name}]
type = "http"
url = "{url}"
kind = "quote"
paginate = {{ type = "page", size_param = "per_page", size = 2 }}
mapping = {{ key = ["id"], value = "price" }}
limit = {{ requests = 5, per = "second", key = "the upstream" }}
allow_private_hosts = true
"""


class Limited:
    """Answers five requests in any second, and refuses each further one with `Retry-After: 1`."""

    def __init__(self):
        self.answered, self.refused, self._window, self._lock = [], [], deque(), threading.Lock()

    def allows(self):
        with self._lock:
            now = time.monotonic()
            while self._window and self._window[0] <= now - 1.0:
                self._window.popleft()
            allowed = len(self._window) < 5
            (self.answered if allowed else self.refused).append(now)
            if allowed:
                self._window.append(now)
            return allowed

    def used(self):
        """Answered requests a second, as a share of five."""
        return (len(self.answered) - 1) / (self.answered[-1] - self.answered[0]) / 5


def page(query):
    number = int(parse_qs(query).get("page", ["1"])[0])
    rows = [{"id": f"{number}-{n}", "price": "1.5"} for n in range(2)]
    return rows if number < PAGES else rows[:1]


@contextmanager
def serving(limited):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            allowed = limited.allows()
            body = json.dumps(page(urlsplit(self.path).query) if allowed else {"error": "too many"}).encode()
            self.send_response(200 if allowed else 429)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if not allowed:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/items"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def folder(path, database_url, url, names):
    path.mkdir()
    sources = "".join(SOURCE.format(name=name, url=url) for name in names)
    (path / "kasparro.toml").write_text(f'[database]\nurl = "{database_url}"\n{sources}', "utf-8")
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="starts processes in groups of their own")
def test_two_processes_share_a_limit_through_the_database(tmp_path, database_url):
    """Five requests a second, counted as strictly as one can: three sources in two processes are refused at most once
    altogether, and use 90 % of what is allowed; whoever is refused comes again no sooner than asked."""
    limited = Limited()
    with serving(limited) as url, starting() as start:
        first = folder(tmp_path / "first", database_url, url, ["one", "two"])
        second = folder(tmp_path / "second", database_url, url, ["three"])
        children = [start(first, "run"), start(second, "run")]
        codes = [child.child.wait(60 + PAGES) for child in children]
    assert codes == [0, 0], [child.said for child in children]
    counted = (
        f"{len(limited.answered)} answered, {len(limited.refused)} refused, {limited.used():.1%} of the limit used"
    )
    print(f"\n{counted}")  # noqa: T201 - what was counted is told
    assert len(limited.answered) == 3 * PAGES
    assert len(limited.refused) <= 1
    assert PAGES < 50 or limited.used() >= 0.9
    assert query(database_url, "SELECT key FROM rate_limits") == [("the upstream",)]
