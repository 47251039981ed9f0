"""`kasparro serve --workers N`: several processes on one socket, and the one that looks after them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger import query
from served import Served, until

Start = Callable[..., Served]
Configured = Callable[..., Path]
SERVE = ("serve", "--port", "0", "--workers", "2")
ENDED = "SELECT 1 FROM runs WHERE status <> 'running'"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")


@posix
def test_two_workers_are_one_service(start: Start, configured: Configured, database_url: str) -> None:
    """Two processes on one socket: every slot has one row, none ran twice, both end with their supervisor."""
    served = start(configured(database_url), *SERVE).wait_up()
    until(lambda: served.get("/health/live").status == 200, "an answer", served)
    until(lambda: len(query(database_url, ENDED)) >= 3, "three runs", served)
    code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said
    assert "Traceback" not in served.said
    slots = query(database_url, "SELECT slot_at, run_id, state FROM schedule_slots WHERE source = 'prices'")
    runs = [run_id for _, run_id, state in slots if state == "ran"]  # a skipped one names the run that was under way
    assert len(slots) == len({slot for slot, *_ in slots})
    assert len(runs) == len(set(runs))
    assert query(database_url, "SELECT count(*) FROM runs WHERE status = 'running'") == [(0,)]


@posix
def test_workers_that_are_killed_are_replaced(start: Start, configured: Configured, sqlite_url: str) -> None:
    """Each of the first two is killed as soon as it has run something: a third one goes on, and the end is in order."""
    served = start(configured(sqlite_url), *SERVE).wait_up()
    killed: set[int] = set()

    def another() -> int:
        found = [int(owner.split(":")[1]) for (owner,) in query(sqlite_url, "SELECT owner FROM leases")]
        return next((process for process in found if process not in killed), 0)

    for _ in range(2):
        worker = until(another, "a run of another worker", served)
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
    until(another, "a run of a new worker", served)
    code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said
    assert query(sqlite_url, "SELECT count(*) FROM runs WHERE status = 'running'") == [(0,)]


@posix
@pytest.mark.parametrize("moment", [0.1, 0.4, 1.0])
def test_ctrl_c_while_the_workers_load(start: Start, configured: Configured, sqlite_url: str, moment: float) -> None:
    """A terminal sends it to all of them: no traceback, and no wait for a sign of life of those that have gone."""
    served = start(configured(sqlite_url), *SERVE).wait_up()
    time.sleep(moment)  # the moment is what is tried
    begun = time.monotonic()
    os.killpg(served.child.pid, signal.SIGINT)
    code = served.ended()
    assert (code, time.monotonic() - begun < 10) == (0, True), served.said
    assert "KeyboardInterrupt" not in served.said
