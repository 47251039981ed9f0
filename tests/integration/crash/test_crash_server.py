"""PostgreSQL goes away in the middle of a run: the server is stopped at once and started again, or ends a session.

KASPARRO_CRASH_STOPS: how many times each storm does so (1; `make crash`: 50).
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_storm import NEEDS_POSIX
from ledger import query
from postgres import OwnServer, own_server
from served import starting, until
from storm_look import LOCK_WAITS, Session, wait_for
from storm_market import PAGES, Market, ended, market, post
from storm_plan import replayable, seeds, tell

pytestmark = [NEEDS_POSIX, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

STOPS = seeds("KASPARRO_CRASH_STOPS", 1)
SENTENCE = re.compile(r"The database postgresql://\S+ (closed the connection|cannot be reached|is starting up|is away)")
AWAY = 5.0
"""Seconds for which a server is away at the most; a run is patient for one and a half."""


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A PostgreSQL that may be stopped."""
    with own_server() as running:
        yield running


class Outage(threading.Thread):
    """Stops the server for a while, some time after a page was asked for. `fired`: the child was still at work."""

    def __init__(self, server: OwnServer, place: Market, child: subprocess.Popen[str], chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._server, self._place, self._child = server, place, child
        self.page = chance.randint(1, PAGES)
        self._after, self._away = chance.uniform(0.0, 0.06), chance.choice((0.0, 0.0, AWAY))
        self.fired = False

    def run(self) -> None:
        wait_for(lambda: len(self._place.upstream.asked) >= self.page, f"page {self.page}", self._child)
        time.sleep(self._after)
        self._server.stop()
        self.fired = self._child.poll() is None
        time.sleep(self._away)
        self._server.start()


@pytest.mark.parametrize("seed", STOPS)
def test_a_server_that_crashes_in_mid_run_costs_nothing(
    seed: int, server: OwnServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Stopped at once and started again: the run goes on, or ends with one clear sentence; the next one exits 0 by
    itself, and everything is there once."""
    chance, void = random.Random(seed), 0
    with replayable(request, seed):
        while not _outage(server, tmp_path / str(void), chance, request, void):
            void += 1


def _outage(server: OwnServer, home: Path, chance: random.Random, request: pytest.FixtureRequest, void: int) -> bool:
    with market(home, server.database_url(server.create())) as place:
        place.upstream.hook = lambda number: time.sleep(0.02)  # a run that takes about as long as the outage may wait
        child = place.start()
        outage = Outage(server, place, child, chance)
        outage.start()
        end = ended(child)
        outage.join()
        if not outage.fired:
            return False
        assert end.code == 0 or (end.code == 1 and SENTENCE.search(end.err)), end
        assert place.faults_on_the_way() == []
        after = place.run()
        assert after.code == 0, after
        tell(request, stopped_in_page=outage.page, first_run_exited=end.code, next_run_exited=after.code, void=void)
        assert place.faults() == []
        return True


@pytest.mark.parametrize("seed", STOPS)
def test_a_session_that_the_server_ends_in_mid_batch_is_done_again(
    seed: int, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """pg_terminate_backend of the session that writes a batch: the whole unit of work is done once more by the same
    run, and what the first attempt did is not there."""
    target = random.Random(seed).randint(1, PAGES)
    with replayable(request, seed), market(tmp_path / "home", postgres_url) as place, Session(postgres_url) as locked:

        def hook(number: int) -> None:
            if number == target:
                locked.run("BEGIN")
                locked.run("LOCK TABLE run_batches IN ACCESS EXCLUSIVE MODE")

        place.upstream.hook = hook
        child = place.start()
        wait_for(lambda: query(postgres_url, LOCK_WAITS), f"a wait in page {target}", child)
        terminated = query(postgres_url, LOCK_WAITS.replace("SELECT 1", "SELECT pg_terminate_backend(pid)"))
        locked.close()
        end = ended(child)
        tell(request, ended_in_page=target, sessions=len(terminated), exited=end.code)
        assert terminated == [(True,)]
        assert end.code == 0, end
        assert [status for _, status, _ in place.runs()] == ["succeeded"]
        assert place.faults() == []


def test_a_service_brings_its_run_to_an_end_after_the_server_crashed(
    server: OwnServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Stopped for longer than a batch is tried again, in the middle of a run of `serve`: with nobody's help the run is
    ended and resumed, and the service goes on."""
    url = server.database_url(server.create())
    with market(tmp_path / "home", url) as place, starting() as start:
        served = start(place.folder, "serve", "--port", "0", "--insecure").wait_up()
        until(lambda: served.get("/health/ready").status == 200, "readiness", served)
        reached, go_on = threading.Event(), threading.Event()

        def hook(number: int) -> None:
            if number == 3:
                reached.set()
                go_on.wait(60)

        place.upstream.hook = hook
        assert post(served.url + "/runs?source=market").status == 202
        wait_for(reached.is_set, "page 3")
        server.stop()
        go_on.set()
        until(lambda: "could not be ended properly" in served.said, "the service's word", served)
        server.start()
        until(lambda: _statuses(url)[-1:] == ["succeeded"], "the end of the run", served)
        tell(request, runs=_statuses(url))
        assert _statuses(url) == ["interrupted", "succeeded"]
        assert place.faults() == []
        assert post(served.url + "/runs?source=market").status == 202
        until(lambda: _statuses(url)[-1] == "unchanged", "one more run", served)
        assert served.end(signal.SIGTERM)[0] == 0
        assert "Traceback" not in served.said


def _statuses(url: str) -> list[str]:
    return [row[0] for row in query(url, "SELECT status FROM runs ORDER BY run_id")]
