"""Both market presets in full against a replay of the recorded services, into a real database."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger import faults, query
from replaying import replaying

RECORDS = 5000
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
"""


class Replay:
    """The replay server of the shared data, and what it says about itself."""

    def __init__(self, base: str) -> None:
        self.base = base

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.base + path, timeout=30) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    def control(self, **what: Any) -> None:
        body = json.dumps(what).encode()
        request = urllib.request.Request(self.base + "/_control", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def coingecko(self) -> dict[str, Any]:
        """The rows by key, as a walk of all pages sees them last. One recorded coin has no id; its name stands in."""
        found = {}
        for page in range(1, 100):
            rows = self.get(f"/api/v3/coins/markets?vs_currency=usd&order=market_cap_desc&per_page=250&page={page}")
            if not rows:
                break
            found.update({row["id"] or row["name"]: row for row in rows})
        return found


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    shared = Path(__file__).resolve().parents[3] / "shared"
    tool = shared / "tools" / "replay_server.py"
    if not tool.is_file():
        pytest.skip("the recorded market data (../shared) is not at hand")
    with replaying(tool, shared / "data", "--nasty", f"--records={RECORDS}") as base:
        yield Replay(base)


def _run(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kasparro_app", "run", "--json"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _last_run(url: str, source: str) -> dict[str, Any]:
    columns = ("status", "fetched", "inserted", "updated", "unchanged", "rejected", "bytes_fetched", "requests")
    sql = f"SELECT {', '.join(columns)} FROM runs WHERE source = '{source}' ORDER BY run_id DESC LIMIT 1"
    return dict(zip(columns, query(url, sql)[0], strict=True))


@pytest.mark.slow
def test_both_presets_in_full_and_again_after_a_tick(replay: Replay, database_url: str, tmp_path: Path) -> None:
    """5,000 distinct coins although pages overlap, exact values, 304s when nothing moved, and only what moved later."""
    replay.control(tick=0)
    (tmp_path / "kasparro.toml").write_text(
        CONFIG.format(database=json.dumps(database_url), base=replay.base), encoding="utf-8"
    )
    first = _run(tmp_path)
    assert first.returncode == 0, first.stderr
    served = replay.coingecko()
    assert len(served) == RECORDS
    assert faults(database_url, "coingecko", set(served)) == []
    run = _last_run(database_url, "coingecko")
    assert (run["fetched"], run["inserted"], run["rejected"]) == (RECORDS + 20, RECORDS, 0)
    assert _last_run(database_url, "coinpaprika")["inserted"] == RECORDS
    _assert_exact(database_url, served)

    unchanged = _run(tmp_path)
    assert unchanged.returncode == 0, unchanged.stderr
    for source in ("coingecko", "coinpaprika"):
        again = _last_run(database_url, source)
        assert again["status"] == "unchanged"
        assert again["bytes_fetched"] == 0

    replay.control(tick=1)
    moved = {key for key, row in replay.coingecko().items() if row != served[key]}
    assert _run(tmp_path).returncode == 0
    run = _last_run(database_url, "coingecko")
    assert 0 < run["updated"] <= len(moved)
    assert (run["inserted"], run["rejected"]) == (0, 0)
    replay.control(tick=0)


def _assert_exact(url: str, served: dict[str, Any]) -> None:
    """200 random prices are, as text, what the payload holds."""
    cast = "value" if url.startswith("sqlite") else "value::text"
    stored = dict(query(url, f"SELECT key, {cast} FROM records WHERE source = 'coingecko'"))
    for key in random.Random(1).sample(sorted(served), 200):
        price = served[key]["current_price"]
        if price is None:
            assert stored[key] is None
        else:
            assert stored[key] == format(Decimal(price).normalize(), "f"), key
