"""SIGKILL at any moment: nothing is lost, nothing is doubled, and the next run just works."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger import faults, query
from upstream import Upstream, serving

PAGE = 50
ROWS = [{"id": f"coin-{n}", "price": f"{n}.5", "name": f"Coin {n}"} for n in range(14 * PAGE + 20)]
KILLS = int(os.environ.get("KASPARRO_TEST_KILLS", "3"))

CONFIG = """
[database]
url = {database}

[sources.market]
type = "http"
url = "{url}"
kind = "quote"
allow_private_hosts = true
paginate = {{ type = "page", param = "page", size_param = "per_page", size = {page} }}
[sources.market.mapping]
key = "id"
title = "name"
value = "price"

[sources.rows]
type = "csv"
path = "rows.csv"
batch_rows = 40
[sources.rows.mapping]
key = "id"
value = "price"
"""


class Process:
    """`kasparro run` as a child process in its own directory."""

    def __init__(self, directory: Path, database: str, upstream: Upstream) -> None:
        self.directory = directory
        self.database = database
        text = CONFIG.format(database=json.dumps(database), url=upstream.url, page=PAGE)
        (directory / "kasparro.toml").write_text(text, encoding="utf-8")
        lines = ["id,price", *(f"row-{n},{n}.25" for n in range(1000))]
        (directory / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "kasparro_app", "run", "--json"],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self) -> dict[str, Any]:
        """Run to the end; the run must exit 0 by itself."""
        child = self.start()
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, (out.decode(), err.decode())
        return {"out": out.decode(), "err": err.decode()}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving(Upstream(ROWS)) as server:
        yield server


def _kill_at(child: subprocess.Popen[bytes], upstream: Upstream, request: int) -> None:
    """SIGKILL the child in the middle of its n-th request. A test in which the kill does not fire is void."""

    def hook(number: int) -> None:
        if number == request:
            child.kill()

    upstream.hook = hook
    out, err = child.communicate(timeout=60)
    upstream.hook = lambda number: None
    assert child.returncode == -signal.SIGKILL, f"the kill did not fire: {out.decode()}{err.decode()}"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's; Windows ends processes in its own way")
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_is_resumed_without_loss_or_doubling(
    seed: int, database_url: str, tmp_path: Path, upstream: Upstream
) -> None:
    """Killed in the middle of a seeded request, then run again: all records once, the ledger adds up, exit 0."""
    process = Process(tmp_path, database_url, upstream)
    target = random.Random(seed).randint(1, 14)
    _kill_at(process.start(), upstream, target)
    killed_after = list(upstream.asked)
    upstream.forget()
    process.finish()
    assert faults(database_url, "market", {row["id"] for row in ROWS}) == []
    assert faults(database_url, "rows", {f"row-{n}" for n in range(1000)}) == []
    again = [page for page in upstream.asked if page in killed_after]
    # the one that was being written: the next is asked for when it is committed
    assert len(again) <= 1, f"pages fetched again: {again}"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's; Windows ends processes in its own way")
def test_killed_again_and_again_it_still_arrives(database_url: str, tmp_path: Path, upstream: Upstream) -> None:
    """A run that is killed in each of its first attempts makes progress in every one and ends complete."""
    process = Process(tmp_path, database_url, upstream)
    for target in (2, 3, 5):
        _kill_at(process.start(), upstream, target)
        upstream.forget()
    process.finish()
    assert faults(database_url, "market", {row["id"] for row in ROWS}) == []
    runs = query(database_url, "SELECT run_id, status, resumes FROM runs WHERE source = 'market' ORDER BY run_id")
    assert [status for _, status, _ in runs] == ["interrupted"] * 3 + ["succeeded"]
    assert [resumes for _, _, resumes in runs] == [None, *(run_id for run_id, _, _ in runs[:-1])]
