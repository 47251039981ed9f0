"""Recorded data replayed again and again, as it changes from hour to hour: nothing of it stands out."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dependency_injector import providers
from replaying import replaying
from scripted import SteppingClock

from kasparro_app.runtime import container_of, open_runtime
from kasparro_app.settings import load_settings
from kasparro_core.model import AnomalyQuery, Run, RunStatus, Trigger
from kasparro_core.policy.anomaly import JUDGED

RUNS = int(os.environ.get("KASPARRO_TEST_HEALTHY_RUNS", "11"))
"""Runs of each source; 100 to show it."""

RECORDS = 250 if RUNS >= 100 else 60
MINUTES = 5
STILL = 4  # of so many runs one finds nothing changed
FEEDS = ("zh_CoinDesk", "zh_bitcoinmagazine")
FILE, BEGUN, GROWTH = "btc_daily_2010_2024.csv", 1000, 24

CONFIG = """
[database]
url = {database}

[sources.coingecko]
type = "http"
preset = "coingecko.markets"
url = "{base}/api/v3/coins/markets"
limit = {{ requests = 1000, per = "second" }}
allow_private_hosts = true

[sources.coinpaprika]
type = "http"
preset = "coinpaprika.tickers"
url = "{base}/v1/tickers"
limit = {{ requests = 1000, per = "second" }}
allow_private_hosts = true

[sources.news]
type = "feed"
urls = {feeds}
allow_private_hosts = true

[sources.prices]
type = "csv"
path = "prices.csv"
"""


class Upstream:
    """The replay server and a file, which move on together."""

    def __init__(self, base: str, folder: Path, lines: list[bytes]) -> None:
        self.base = base
        self._file = folder / "prices.csv"
        self._lines = lines

    def tick(self, number: int) -> None:
        body = json.dumps({"tick": number * MINUTES}).encode()
        request = urllib.request.Request(self.base + "/_control", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
        self._file.write_bytes(b"".join(self._lines[: BEGUN + GROWTH * number]))


@pytest.fixture
def upstream(shared_data: Callable[..., Path], tmp_path: Path) -> Iterator[Upstream]:
    data = shared_data("data")
    lines = (data / "csv" / FILE).read_bytes().splitlines(keepends=True)
    with replaying(shared_data("tools", "replay_server.py"), data, f"--records={RECORDS}") as base:
        yield Upstream(base, tmp_path, lines)


@pytest.mark.timeout(120 + 20 * RUNS)
async def test_nothing_stands_out_in_healthy_replays(upstream: Upstream, tmp_path: Path, sqlite_url: str) -> None:
    """Market lists, feeds and a growing file, some runs of which find nothing changed: no finding about any run."""
    feeds = [f"{upstream.base}/feeds/series/{name}" for name in FEEDS]
    text = CONFIG.format(database=json.dumps(sqlite_url), base=upstream.base, feeds=json.dumps(feeds))
    (tmp_path / "kasparro.toml").write_text(text, encoding="utf-8")
    clock = SteppingClock()
    settings = load_settings(tmp_path / "kasparro.toml", environ={})
    container = container_of(settings)
    container.clock.override(providers.Object(clock))
    runs: list[Run] = []
    async with open_runtime(settings, container=container) as runtime:
        for number in range(RUNS):
            upstream.tick(number - number // STILL)
            clock.skip(60.0 * MINUTES)
            for job in runtime.jobs.values():
                run = await runtime.runner.run(job, trigger=Trigger.SCHEDULE)
                assert run is not None
                runs.append(run)
        async with runtime.store.begin(write=False) as work:
            found = await work.findings.anomalies(AnomalyQuery(limit=1000))
            compared = [await work.runs.facts(run.run_id) for run in runs]
    told = [each.explanation for each in found if each.metric in JUDGED]
    whole = sum(facts is not None and facts.comparable for facts in compared)
    sys.stdout.write(f"{len(runs)} healthy runs, {whole} of them read whole sources: {len(told)} findings\n")
    assert {run.status for run in runs} <= {RunStatus.SUCCEEDED, RunStatus.UNCHANGED, RunStatus.DEGRADED}
    assert whole > len(runs) / 3
    assert told == []
