"""`kasparro demo --serve`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from served import Served, until


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_the_demo_serves_from_an_empty_folder(start: Callable[..., Served], tmp_path: Path) -> None:
    """/health/live answers at once, all samples are in /data soon, the pages open, and the end is exit code 0."""
    begun = time.monotonic()
    served = start(tmp_path, "demo", "--serve", "--port", "0").wait_up()
    assert served.get("/health/live").status == 200
    live = time.monotonic() - begun
    until(lambda: served.get("/data?count=exact").status == 200, "data", served)
    until(lambda: served.get("/data?count=exact").body["pagination"]["total"] == 157, "all samples", served, seconds=30)
    data = time.monotonic() - begun
    assert {served.get(page).status for page in ("/", "/docs", "/health", "/sources")} == {200}
    code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said
    assert "Traceback" not in served.said
    assert (tmp_path / "kasparro-demo" / "kasparro.db").exists()
    print(f"alive after {live:.2f} s, data after {data:.2f} s")  # noqa: T201 - the figure that was asked for


def test_host_and_port_belong_to_serve(start: Callable[..., Served], tmp_path: Path) -> None:
    """Without --serve nothing listens, so an address is a mistake: exit code 2."""
    refused = start(tmp_path, "demo", "--port", "8000")
    assert refused.ended() == 2
    assert "--serve" in refused.said
