"""SIGKILL at random instants, not only at requests: nothing is lost or doubled, and the next run just works.

`KASPARRO_TEST_KILLS=28` makes it a storm of some 40 kills per kind of database; with KASPARRO_TEST_FIGURES=FILE each
adds a line there: kills fired, seconds of the run that follows, faults found.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger import faults
from upstream import Upstream, serving

PAGE = 50
MARKET = [{"id": f"coin-{n}", "price": f"{n}.5"} for n in range(14 * PAGE + 20)]
BULK = [{"id": f"item-{n}", "price": f"{n}.125"} for n in range(25_000)]
CSV_ROWS = 3_000
KILLS = int(os.environ.get("KASPARRO_TEST_KILLS", "3"))
LATEST = 1.5
"""Seconds; the three sources take about as long, so most kills fire."""
RUN = [sys.executable, "-m", "kasparro_app", "run", "--json"]

CONFIG = """
[database]
url = {database}

[sources.market]
type = "http"
url = "{market}"
kind = "quote"
allow_private_hosts = true
paginate = {{ type = "page", param = "page", size_param = "per_page", size = {page} }}
mapping = {{ key = "id", value = "price" }}

[sources.bulk]
type = "http"
url = "{bulk}?page=1&per_page=25000"
kind = "quote"
allow_private_hosts = true
mapping = {{ key = "id", value = "price" }}

[sources.rows]
type = "csv"
path = "rows.csv"
batch_rows = 250
mapping = {{ key = "id", value = "price" }}
"""
EXPECTED = {
    "market": {row["id"] for row in MARKET},
    "bulk": {row["id"] for row in BULK},
    "rows": {f"row-{n}" for n in range(CSV_ROWS)},
}


@pytest.fixture
def configured(tmp_path: Path, database_url: str) -> Iterator[Path]:
    """A directory with a configuration of three sources whose upstreams are served."""
    with serving(Upstream(MARKET)) as market, serving(Upstream(BULK)) as bulk:
        text = CONFIG.format(database=json.dumps(database_url), market=market.url, bulk=bulk.url, page=PAGE)
        (tmp_path / "kasparro.toml").write_text(text, encoding="utf-8")
        lines = ["id,price", *(f"row-{n},{n}.25" for n in range(CSV_ROWS))]
        (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield tmp_path


def _killed(delays: random.Random, directory: Path) -> bool:
    """Start a run and kill it some time after its first sign of life, which is a committed claim; once in a while
    before it. False when it had ended by itself, which must be well."""
    child = subprocess.Popen(RUN, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    if delays.random() < 0.85:
        child.stderr.readline()
    try:
        _, err = child.communicate(timeout=delays.uniform(0.0, LATEST))
    except subprocess.TimeoutExpired:
        child.kill()
        _, err = child.communicate(timeout=60)
    assert child.returncode in (0, -signal.SIGKILL), err.decode()
    return child.returncode == -signal.SIGKILL


def _to_the_end(directory: Path) -> float:
    """A run that nobody disturbs exits 0 by itself; returns its seconds."""
    begun = time.monotonic()
    done = subprocess.run(RUN, cwd=directory, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout.decode(), done.stderr.decode())
    return time.monotonic() - begun


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's; Windows ends processes in its own way")
@pytest.mark.parametrize("kill", range(KILLS))
def test_killed_at_any_instant_the_next_run_completes_the_work(kill: int, database_url: str, configured: Path) -> None:
    """Killed after a seeded delay in the first or, once more, in the resuming run: all records once, exit 0."""
    kind = database_url.split(":", maxsplit=1)[0]
    delays = random.Random(f"{kill} {kind}")
    fired = sum(_killed(delays, configured) for _ in range(1 + kill % 2))
    seconds = _to_the_end(configured)
    found = [fault for source, keys in EXPECTED.items() for fault in faults(database_url, source, keys)]
    _tell(f"{kind} {kill}: {fired} kills fired, the next run took {seconds:.1f} s, faults: {found}")
    assert found == []
    assert [path.name for path in configured.glob("*.owners/*")] == []


def _tell(line: str) -> None:
    if file := os.environ.get("KASPARRO_TEST_FIGURES"):
        with Path(file).open("a", encoding="utf-8") as figures:
            figures.write(line + "\n")
