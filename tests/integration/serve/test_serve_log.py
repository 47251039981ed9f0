"""The log of a serving process, as whoever collects it gets it."""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Served, until

Start = Callable[..., Served]
Configured = Callable[..., Path]
KEY = "a-key-that-nobody-should-read"
LOUD = f'\n[log]\nlevel = "debug"\n[api]\nadmin_key = "{KEY}"\n'
BAD_SOURCE = '\n[sources.missing]\ntype = "csv"\npath = "missing.csv"\n'
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")


def trigger(served: Served, request_id: str) -> None:
    """Begin a run of every source."""
    headers = {"X-API-Key": KEY, "X-Request-ID": request_id}
    call = urllib.request.Request(served.url + "/runs", method="POST", headers=headers)
    with urllib.request.urlopen(call, timeout=10) as answer:
        assert answer.status == 202


def lines(served: Served) -> list[dict[str, Any]]:
    """What was written after the address, each line an object."""
    _, *rest = served.lines
    return [json.loads(line) for line in rest]


@posix
def test_the_log_of_a_service_is_json_that_tells_apart(start: Start, configured: Configured, sqlite_url: str) -> None:
    """Every line is JSON; those of a run carry its run_id and no request_id, those of a request their request_id and no
    run_id; a failed run is an error, and the key that came with the request stands nowhere."""
    served = start(configured(sqlite_url, "manual", more=LOUD + BAD_SOURCE), "serve", "--port", "0").wait_up()
    until(lambda: served.get("/health/ready").status == 200, "readiness", served)
    trigger(served, "first-request")
    until(lambda: served.said.count('"run finished"') == 2, "both ends", served)
    assert served.end(signal.SIGTERM)[0] == 0
    told = lines(served)
    assert all({"timestamp", "level", "logger", "event"} <= line.keys() for line in told)
    runs = [line for line in told if "run_id" in line]
    assert {line["source"] for line in runs} == {"prices", "missing"}
    assert len({(line["run_id"], line["source"]) for line in runs}) == 2
    assert not any("request_id" in line for line in runs)
    ended = {line["source"]: (line["level"], line["status"]) for line in runs if line["event"] == "run finished"}
    assert ended == {"prices": ("info", "succeeded"), "missing": ("error", "failed")}
    assert any(line.get("request_id") == "first-request" for line in told)
    assert KEY not in served.said
