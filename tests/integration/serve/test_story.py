"""The whole service from outside: one process, real HTTP, both databases, from the first key to the last signal."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from served import SRC, Served, until
from upstream import Upstream, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send"),
]

CONFIG = """
[database]
url = {database}

[sources.market]
type = "http"
url = {upstream}
allow_private_hosts = true
kind = "quote"
paginate = {{ type = "page", param = "page", size_param = "per_page", size = 50 }}
[sources.market.mapping]
key = ["id"]
external_id = "id"
symbol = "symbol"
value = "price"

[sources.prices]
type = "csv"
path = "prices.csv"
[sources.prices.mapping]
key = "id"
value = "price"
"""
ROWS = 120


def _rows(price: str = "0.10") -> list[dict[str, Any]]:
    return [{"id": f"coin-{n}", "symbol": f"C{n}", "price": f"{n}{price[1:]}"} for n in range(ROWS)]


class Client:
    """Someone with a key who uses the API."""

    def __init__(self, served: Served, key: str) -> None:
        self.served = served
        self.key = key

    def get(self, path: str, accept: str = "*/*") -> tuple[int, dict[str, str], bytes]:
        return self._ask(urllib.request.Request(self.served.url + path, headers={"Accept": accept}))

    def json(self, path: str) -> Any:
        status, _, body = self.get(path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def post(self, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
        request = urllib.request.Request(
            self.served.url + path, method="POST", headers={"X-API-Key": self.key, **headers}
        )
        status, answered, body = self._ask(request)
        return status, answered, json.loads(body)

    def wait_for(self, run_id: int) -> Any:
        def ended() -> Any:
            run = self.json(f"/runs/{run_id}")
            return run if run["status"] != "running" else None

        return until(ended, f"the end of run {run_id}", self.served)

    @staticmethod
    def _ask(request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A market that serves ROWS quotes in pages."""
    with serving(Upstream(_rows())) as running:
        yield running


@pytest.fixture
def client(start: Callable[..., Served], database_url: str, upstream: Upstream, tmp_path: Path) -> Client:
    """A service with a key that was made by the command line while it ran."""
    text = CONFIG.format(database=json.dumps(database_url), upstream=json.dumps(upstream.url))
    (tmp_path / "kasparro.toml").write_text(text, encoding="utf-8")
    lines = ["id,price", *(f"row-{n},{n}.5" for n in range(30)), "row-30,not a price"]
    (tmp_path / "prices.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    served = start(tmp_path, "serve", "--port", "0").wait_up()
    until(lambda: served.get("/health/ready").status == 200, "readiness", served)
    made = _kasparro(tmp_path, "keys", "create", "story", "--scope", "trigger", "--json")
    return Client(served, json.loads(made)["key"])


def _kasparro(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kasparro_app", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(SRC), "PATH": "", "SYSTEMROOT": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def _listen(client: Client, events: list[dict[str, Any]], after: int) -> threading.Thread:
    """Follow /events from another thread until the run's end was told."""

    def follow() -> None:
        request = urllib.request.Request(client.served.url + "/events", headers={"Last-Event-ID": str(after)})
        event: dict[str, Any] = {}
        with urllib.request.urlopen(request, timeout=30) as stream:
            for raw in stream:
                name, _, value = raw.decode().rstrip("\n").partition(":")
                if name:
                    event[name] = value.strip()
                    continue
                if "event" in event:
                    events.append(event)
                if event.get("event") == "run.finished":
                    return
                event = {}

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


def test_the_whole_story(client: Client, upstream: Upstream, tmp_path: Path) -> None:
    """Trigger, follow, page, export, trigger again, compare, look into it, and end: every figure adds up."""
    events: list[dict[str, Any]] = []
    listener = _listen(client, events, after=0)
    first = _a_run_by_request(client)
    listener.join(30)
    _the_events_told_it(events, first)
    _the_data_is_all_there(client)
    _the_formats_agree(client)
    second = _a_changed_upstream_is_followed(client, upstream)
    _the_two_runs_are_compared(client, first["run_id"], second["run_id"])
    _what_was_refused_can_be_seen(client)
    _the_figures_add_up(client)
    code, took = client.served.end(signal.SIGTERM)
    assert (code, took < 10) == (0, True), client.served.said
    assert "Traceback" not in client.served.said
    assert client.key not in client.served.said
    assert json.loads(_kasparro(tmp_path, "stats", "--json"))


def _a_run_by_request(client: Client) -> Any:
    request = urllib.request.Request(client.served.url + "/runs?source=market", method="POST")
    assert client._ask(request)[0] == 401
    assert client.post("/runs?source=markte")[0] == 404
    status, headers, body = client.post("/runs?source=market", **{"Idempotency-Key": "story-1"})
    assert status == 202, body
    run_id = int(headers["location"].rpartition("/")[2])
    again = client.post("/etl/run?source=market", **{"Idempotency-Key": "story-1"})
    assert (again[0], again[1]["location"]) == (202, headers["location"])
    run = client.wait_for(run_id)
    assert (run["status"], run["trigger"], run["inserted"]) == ("succeeded", "api", ROWS)
    assert len(client.json("/runs?source=market")["data"]) == 1
    return run


def _the_events_told_it(events: list[dict[str, Any]], run: Any) -> None:
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("run.started", "run.finished")
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(set(ids))
    inserted = sum(_inserted(event) for event in events if event["event"] == "batch.committed")
    assert inserted == run["inserted"]


def _inserted(event: dict[str, Any]) -> int:
    told = json.loads(event["data"])
    return int(told.get("inserted", told.get("data", {}).get("inserted", 0)))


def _the_data_is_all_there(client: Client) -> None:
    path, seen = "/data?source=market&limit=7", []
    while path:
        page = client.json(path)
        seen += [row["external_id"] for row in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        path = f"/data?source=market&limit=7&cursor={cursor}" if cursor else ""
    assert sorted(seen) == sorted(row["id"] for row in _rows())
    one = client.json("/data?symbol=C7")["data"][0]
    raw = client.get(f"/data/{one['record_id']}/raw")
    assert raw[0] == 200
    assert {"id": "coin-7", "symbol": "C7", "price": "7.10"} in json.loads(raw[2])
    status, headers, _ = client.get("/data?limit=5")
    etagged = urllib.request.Request(client.served.url + "/data?limit=5", headers={"If-None-Match": headers["etag"]})
    assert (status, client._ask(etagged)[0]) == (200, 304)


def _the_formats_agree(client: Client) -> None:
    status, headers, body = client.get("/data?source=market", accept="application/x-ndjson")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/x-ndjson")
    lines = [json.loads(line) for line in body.decode().splitlines()]
    rows = list(csv.DictReader(io.StringIO(client.get("/data?source=market&format=csv")[2].decode())))
    assert len(lines) == len(rows) == ROWS
    assert [str(line["record_id"]) for line in lines] == [row["record_id"] for row in rows]


def _a_changed_upstream_is_followed(client: Client, upstream: Upstream) -> Any:
    seq = client.json("/data?after_seq=0&limit=1000")["pagination"]["next_seq"]
    upstream.rows = [*_rows()[:-1], {"id": "coin-119", "symbol": "C119", "price": "0"}, {"id": "new", "price": "1e-12"}]
    status, headers, _ = client.post("/trigger-etl?source=market")
    assert status == 202
    run = client.wait_for(int(headers["location"].rpartition("/")[2]))
    assert (run["inserted"], run["updated"], run["unchanged"]) == (1, 1, ROWS - 1)
    feed = client.json(f"/data?after_seq={seq}")
    assert {row["external_id"] for row in feed["data"]} == {"coin-119", "new"}
    changed = next(row for row in feed["data"] if row["external_id"] == "coin-119")
    assert changed["value"] == 0
    versions = client.json(f"/data/{changed['record_id']}/versions")["data"]
    assert [version["value"] for version in versions] == [119.10]
    return run


def _the_two_runs_are_compared(client: Client, a: int, b: int) -> None:
    compared = client.json(f"/compare-runs?a={a}&b={b}")
    assert "inserted" in json.dumps(compared)
    assert client.get(f"/compare-runs?a={a}&b=999999")[0] == 404


def _what_was_refused_can_be_seen(client: Client) -> None:
    status, headers, _ = client.post("/runs?source=prices")
    assert status == 202
    client.wait_for(int(headers["location"].rpartition("/")[2]))
    noted = client.json("/rejections?source=prices")["data"]
    assert [rejection["payload"] for rejection in noted if "not a price" in rejection["payload"]]


def _the_figures_add_up(client: Client) -> None:
    figures = client.get("/metrics")[2].decode()
    assert f'etl_records_processed_total{{outcome="inserted",source="market"}} {ROWS + 1}.0' in figures
    assert 'etl_runs_total{source="market",status="succeeded"} 2.0' in figures
    assert 'http_requests_total{method="POST",route="/runs",status="401"} 1.0' in figures
    stats = client.json("/stats")
    assert stats["total"]["records"]["inserted"] == ROWS + 1 + 31
    assert client.json("/health")["status"] == "ok"
    assert {source["source"] for source in client.json("/sources")["data"]} == {"market", "prices"}
    page = client.get("/", accept="text/html")
    assert page[0] == 200
    assert b"market" in page[2]
