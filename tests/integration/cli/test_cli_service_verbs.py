"""`stats`, `compare` and `healthcheck` as they are typed."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CONFIGURATION = """
[sources.prices]
type = "csv"
path = "prices.csv"
[sources.other]
type = "csv"
path = "prices.csv"
"""


@pytest.fixture
def two_runs(kasparro: Any, folder: Path) -> None:
    """A database with a run of each of two sources, and a second one of the first."""
    (folder / "kasparro.toml").write_text(CONFIGURATION)
    (folder / "prices.csv").write_text("id,price\na,1\n")
    assert kasparro("run").code == 0
    (folder / "prices.csv").write_text("id,price\na,1\nb,2\nc,3\n")  # only what is new is read
    assert kasparro("run", "prices").code == 0


@pytest.mark.usefixtures("two_runs")
def test_stats_sum_up(kasparro: Any) -> None:
    """A line per source and one for all; as JSON one object with the same sums."""
    said = kasparro("stats")
    assert said.code == 0
    lines = [line.split() for line in said.out.splitlines()]
    assert [line[0] for line in lines] == ["source", "other", "prices", "all"]
    view = json.loads(kasparro("stats", "--json").out)
    assert view["total"]["runs"]["total"] == 3
    assert {each["source"]: each["records"]["processed"] for each in view["sources"]} == {"other": 1, "prices": 3}


@pytest.mark.usefixtures("two_runs")
def test_compare_two_runs(kasparro: Any) -> None:
    """Every figure with its difference; runs of two sources, or an unknown one, are a usage error that says why."""
    view = json.loads(kasparro("compare", "2", "3", "--json").out) if _source(kasparro, 2) == "prices" else None
    view = view or json.loads(kasparro("compare", "1", "3", "--json").out)
    assert next(each for each in view["metrics"] if each["metric"] == "fetched")["delta"] == 1
    first = view["a"]["run_id"]
    table = kasparro("compare", str(first), "3")
    assert (table.code, "fetched" in table.out) == (0, True)
    different = kasparro("compare", str(3 - first), "3")
    assert (different.code, "only runs of one source" in different.err) == (2, True)
    unknown = kasparro("compare", "1", "9")
    assert (unknown.code, "There is no run 9" in unknown.err) == (2, True)


def _source(kasparro: Any, run_id: int) -> str:
    runs = json.loads(kasparro("runs", "--json").out)
    return str(next(run["source"] for run in runs if run["run_id"] == run_id))


class _Service(http.server.BaseHTTPRequestHandler):
    """Answers as `/health/ready` and `/health/live` do, with the status that the server was given."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"]))  # type: ignore[attr-defined]
        ready = self.server.ready or self.path == "/health/live"  # type: ignore[attr-defined]
        body = b"{}" if ready else self.server.refusal  # type: ignore[attr-defined]
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def service(*, ready: bool, refusal: bytes = b'{"detail": "The database does not answer."}') -> Iterator[Any]:
    """A service on a free port of loopback; `asked` holds what it was asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        server.ready, server.refusal, server.asked = ready, refusal, []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_healthcheck_asks_a_ready_service(kasparro: Any) -> None:
    """Exit code 0 and a sentence; the question is /health/ready."""
    with service(ready=True) as server:
        said = kasparro("healthcheck", "--url", f"http://127.0.0.1:{server.server_port}/")
        assert (said.code, said.out.strip().endswith("answers 200.")) == (0, True)
        assert server.asked[0][0] == "/health/ready"


def test_healthcheck_of_a_service_that_is_not_ready(kasparro: Any) -> None:
    """Exit code 1 with what the service said; whether the process lives is another question."""
    with service(ready=False) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        said = kasparro("healthcheck", "--url", url)
        assert (said.code, "The database does not answer." in said.err) == (1, True)
        assert kasparro("healthcheck", "--live", "--url", url).code == 0


def test_healthcheck_of_something_else(kasparro: Any) -> None:
    """What another program answers there is told on one line that cannot steer a terminal."""
    with service(ready=False, refusal=b"<html>\n\x1b[2J" + b"x" * 5000) as server:
        said = kasparro("healthcheck", "--url", f"http://127.0.0.1:{server.server_port}")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "\x1b" not in said.err
    assert len(said.err) < 300


@pytest.mark.parametrize(
    ("names", "host"),
    [('"*.example.com", "api.example.com"', "api.example.com"), ('"*.example.com"', "healthcheck.example.com")],
)
def test_healthcheck_finds_the_service_by_its_configuration(kasparro: Any, folder: Path, names: str, host: str) -> None:
    """Host and port come from `[api]`: one that listens everywhere is asked on this machine, by a name that it
    answers to."""
    with service(ready=True) as server:
        (folder / "kasparro.toml").write_text(
            f'[api]\nhost = "0.0.0.0"\nport = {server.server_port}\ntrusted_hosts = [{names}]\n'
        )
        assert kasparro("healthcheck").code == 0
        assert server.asked == [("/health/ready", host)]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "http://", "http://[::1", "nonsense"])
def test_healthcheck_without_a_service(kasparro: Any, url: str) -> None:
    """Nobody there, or no address: exit code 1 and a sentence, no traceback."""
    said = kasparro("healthcheck", "--url", url)
    assert (said.code, len(said.err.strip().splitlines()), "internal" in said.err) == (1, 1, False)


def test_healthcheck_shows_no_password(kasparro: Any) -> None:
    """An address with a user and a password is refused, and the refusal holds neither."""
    said = kasparro("healthcheck", "--url", "http://anna:hush@127.0.0.1:9")
    assert (said.code, "user or a password" in said.err) == (1, True)
    assert "hush" not in said.err
