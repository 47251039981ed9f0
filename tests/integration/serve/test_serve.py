"""`kasparro serve` as a process: how it begins, and how it ends."""

from __future__ import annotations

import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from ledger import query
from served import Served, until

Start = Callable[..., Served]
Configured = Callable[..., Path]
SERVE = ("serve", "--port", "0")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")


def finished(url: str) -> list[tuple[str, str]]:
    """Trigger and status of the runs that have ended, oldest first."""
    rows = query(url, "SELECT trigger, status FROM runs WHERE status <> 'running' ORDER BY run_id")
    return [(trigger, status) for trigger, status in rows]


@posix
def test_one_command_serves_and_runs_what_is_due(start: Start, configured: Configured, database_url: str) -> None:
    """The API answers, the source that never ran is run at once and then in time, SIGTERM ends it with 0 in time."""
    served = start(configured(database_url), *SERVE).wait_up()
    assert served.get("/health/live").status == 200
    until(lambda: len(finished(database_url)) >= 3, "three runs", served)
    code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said
    assert "Traceback" not in served.said
    runs = finished(database_url)
    assert runs[0] == ("schedule", "succeeded")
    assert {trigger for trigger, _ in runs} == {"schedule"}
    assert query(database_url, "SELECT count(*) FROM runs WHERE status = 'running'") == [(0,)]


@posix
def test_it_works_on_an_empty_database(start: Start, configured: Configured, tmp_path: Path) -> None:
    """Without a database file, the schema and the records are there shortly after the start."""
    url = f"sqlite:///{(tmp_path / 'new.db').as_posix()}"
    served = start(configured(url, "every 1h"), *SERVE).wait_up()
    until(lambda: (tmp_path / "new.db").exists(), "the database", served)
    until(lambda: served.get("/health/ready").status == 200, "readiness", served)
    until(lambda: finished(url) == [("schedule", "succeeded")], "the first run", served)
    assert served.end(signal.SIGINT)[0] == 0


@posix
def test_without_its_scheduler_it_begins_nothing(start: Start, configured: Configured, sqlite_url: str) -> None:
    """--no-scheduler: the API answers, no slot is taken."""
    served = start(configured(sqlite_url), *SERVE, "--no-scheduler").wait_up()
    until(lambda: served.get("/health/ready").status == 200, "readiness", served)
    assert served.end(signal.SIGTERM)[0] == 0
    assert query(sqlite_url, "SELECT count(*) FROM schedules") == [(0,)]


def test_a_port_in_use_is_one_sentence(start: Start, configured: Configured, sqlite_url: str) -> None:
    """Exit code 1, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served = start(configured(sqlite_url), "serve", "--port", str(taken.getsockname()[1]))
        assert served.ended() == 1
    assert "is in use by another program" in served.said
    assert "Traceback" not in served.said


def test_insecure_is_refused_where_others_can_reach_it(start: Start, configured: Configured, sqlite_url: str) -> None:
    """--insecure on all addresses: exit code 2 before anything is served."""
    served = start(configured(sqlite_url), *SERVE, "--host", "0.0.0.0", "--insecure")
    assert served.ended() == 2
    assert "--insecure is only for this machine" in served.said


@posix
def test_a_public_address_without_a_key_is_told(start: Start, configured: Configured, sqlite_url: str) -> None:
    """Whoever listens for others without having made a key reads so in the log."""
    served = start(configured(sqlite_url), *SERVE, "--host", "0.0.0.0").wait_up()
    until(lambda: "there is no key" in served.said, "the warning", served)
    assert served.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_newer_database_ends_the_service(start: Start, configured: Configured, sqlite_url: str, workers: str) -> None:
    """A fault that no waiting mends: exit code 1 with the sentence, also when a worker finds it."""
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    served = start(configured(sqlite_url), *SERVE, "--workers", workers)
    assert served.ended() == 1
    assert "this program is older" in served.said
    assert "Traceback" not in served.said


@posix
def test_a_client_that_does_not_go_on_holds_nobody_up(start: Start, configured: Configured, sqlite_url: str) -> None:
    """Half a request, and an answer that nobody reads: others are answered, and the end is in time."""
    served = start(configured(sqlite_url), *SERVE).wait_up()
    until(lambda: served.get("/health/ready").status == 200, "readiness", served)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half, socket.create_connection((host, int(port))) as deaf:
        half.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert served.get("/health/live").status == 200
        code, took = served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), served.said


@posix
@pytest.mark.parametrize("again", [False, True])
def test_the_end_comes_in_time_whatever_hangs(
    start: Start, configured: Configured, sqlite_url: str, again: bool
) -> None:
    """While another process holds the database's lock: exit 0 within 10 seconds, after a second signal at once."""
    served = start(configured(sqlite_url, "every 1s", 5000), *SERVE).wait_up()
    until(lambda: finished(sqlite_url), "a run", served)
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        served.child.send_signal(signal.SIGTERM)
        if again:
            until(lambda: not served.listens(), "the end of listening", served)
        code, took = served.end(signal.SIGTERM if again else 0)
    assert (code, took < (5 if again else 10)) == (0, True), served.said
