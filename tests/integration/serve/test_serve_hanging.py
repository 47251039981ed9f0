"""Upstreams that say nothing, and names that nobody can look up."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from served import Served, until

HANGING = """
[sources.{name}]
type = "http"
url = {url}
schedule = "every 1h"
allow_private_hosts = true
[sources.{name}.mapping]
key = "id"
"""

SLOW_NAMES = """
import runpy, socket, time

look_up = socket.getaddrinfo

def slowly(host, *more, **options):
    if str(host).endswith(".example"):
        time.sleep(600)
    return look_up(host, *more, **options)

socket.getaddrinfo = slowly
runpy.run_module("kasparro_app", run_name="__main__")
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")


@posix
def test_a_dozen_hanging_upstreams_hold_no_other_source_up(
    start: Callable[..., Served], configured: Callable[..., Path], sqlite_url: str
) -> None:
    """All are due at once, and the one that can be read is read while the others wait; all of these are interrupted."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = json.dumps(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        more = "".join(HANGING.format(name=f"a{number}", url=url) for number in range(12))
        served = start(configured(sqlite_url, "every 1h", more=more), "serve", "--port", "0").wait_up()
        until(lambda: served.get("/runs?source=prices&status=succeeded").body.get("data"), "the other run", served)
        running = served.get("/runs?status=running").body["data"]
        assert {run["source"] for run in running} == {f"a{number}" for number in range(12)}
        code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said
    assert served.said.count('"interrupted"') == 12


@posix
def test_names_that_cannot_be_looked_up_hold_nothing_up(
    start: Callable[..., Served], configured: Callable[..., Path], sqlite_url: str
) -> None:
    """More look-ups hang than there are processors: another source is read, and the end is an orderly one."""
    more = "".join(
        HANGING.format(name=f"a{number}", url=json.dumps(f"http://host-{number}.example/")) for number in range(50)
    )
    folder = configured(sqlite_url, "every 1h", more=more)
    served = start(folder, "serve", "--port", "0", program=("-c", SLOW_NAMES)).wait_up()
    until(lambda: served.get("/runs?source=prices&status=succeeded").body.get("data"), "the other run", served)
    code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said
    assert served.said.count('"interrupted"') == 50
    assert "Traceback" not in served.said
