"""A recorded market that goes on healthily: what is odd about it is told at its first reading, and then never again."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from replaying import replaying

import kasparro_app
from kasparro_adapters.sql import SqlStore
from kasparro_core.model.anomaly import Anomaly, AnomalyQuery
from kasparro_core.services.outlier_findings import RecordMetric

REPLAYS = int(os.environ.get("KASPARRO_TEST_REPLAYS", "2"))
"""Readings of each source; between two of them about 30 % of the prices move."""

PRESETS = {"coingecko.markets": "/api/v3/coins/markets", "coinpaprika.tickers": "/v1/tickers"}
AT_FIRST = {
    "coingecko.markets": {("record_market", "ticoex-token")},
    "coinpaprika.tickers": {("record_behind", "808-808coin"), ("record_behind", "empr-empowr-coin")},
}


@pytest.fixture
def base(shared_data: Callable[..., Path]) -> Iterator[str]:
    """The replay server with the rows that were recorded."""
    with replaying(shared_data("tools", "replay_server.py"), shared_data("data")) as url:
        yield url


def _tick(base: str, number: int) -> None:
    body = json.dumps({"tick": number}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(base + "/_control", data=body, method="POST"), timeout=30
    ) as said:
        said.read()


async def _found(database: str) -> list[Anomaly]:
    store = SqlStore(database)
    async with store.begin(write=False) as work:
        found = await work.findings.anomalies(AnomalyQuery(limit=1000))
    await store.close()
    return [each for each in found if each.metric in frozenset(RecordMetric)]


def _source(base: str, preset: str) -> dict[str, object]:
    return {
        "type": "http",
        "preset": preset,
        "url": base + PRESETS[preset],
        "limit": {"requests": 1000, "per": "second"},
        "allow_private_hosts": True,
        "history": True,
    }


@pytest.mark.timeout(60 + 10 * REPLAYS)
@pytest.mark.parametrize("presets", [["coingecko.markets"], ["coinpaprika.tickers"], list(PRESETS)], ids=" and ".join)
async def test_healthy_replays_find_nothing_after_the_first(base: str, tmp_path: Path, presets: list[str]) -> None:
    """The coin that nobody trades and the tickers that are weeks old are told once; ten or a hundred readings later
    there is no further finding. Nor is there where both lists are in one database, one recorded years before the other:
    what they say of one asset differs by much, and always has."""
    database = f"sqlite:///{tmp_path / 'k.db'}"
    sources = {preset: _source(base, preset) for preset in presets}
    updated = 0
    for tick in range(REPLAYS):
        _tick(base, tick)
        report = await kasparro_app.run(sources, database)
        updated += sum(run.counters.updated for run in report.runs.values())
    found = await _found(database)
    expected = set[tuple[str, str]]().union(*(AT_FIRST[preset] for preset in presets))
    assert {(each.metric, each.subject) for each in found} == expected
    assert len(found) == len(expected)
    assert len({each.run_id for each in found}) == len(presets)
    print(f"\n{presets}: {REPLAYS} readings, {updated:,} records changed")  # noqa: T201 - the figure that was asked for
