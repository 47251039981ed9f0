"""What an upstream sends cannot fill the memory: measured on a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fault_catalogue import FAULTS, SPEAKERS
from fault_server import SIZE, FaultServer, faulty_page
from ledger import query

BOUND = 64 * 1024 * 1024
HOSTILE = {"gigabyte-1": 1, "gigabyte-2": 2, "bomb-0": 0, "bomb-3": 3, "padding-0": 0, "depth-0": 0}
CONFIG = """
[sources.{name}]
type = "http"
url = "{url}"
allow_private_hosts = true
kind = "quote"
paginate = {{ type = "page", size = {size} }}
[sources.{name}.mapping]
key = "id"
value = "price"
"""
OURS = ("KASPARRO_", "DATABASE_URL", "API_KEY", "CSV_PATH", "ETL_", "CHAOS_MODE", "LOG_LEVEL", "ENVIRONMENT")
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def peak(folder: Path, urls: dict[str, str]) -> int:
    """The most memory that `kasparro run` of these sources, side by side, ever had, in bytes."""
    folder.mkdir()
    tables = (CONFIG.format(name=name, url=url, size=SIZE) for name, url in urls.items())
    (folder / "kasparro.toml").write_text('[database]\nurl = "sqlite:///kasparro.db"\n' + "".join(tables), "utf-8")
    kept = {variable: value for variable, value in os.environ.items() if not variable.startswith(OURS)}
    run = [sys.executable, "-m", "kasparro_app", "run", "--json"]
    with (folder / "said.txt").open("wb") as said:
        child = subprocess.Popen(run, cwd=folder, env=kept, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return int(usage.ru_maxrss * UNIT)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the memory of a child is measured by wait4, which is POSIX's")
async def test_gigabytes_and_bombs_stay_under_64_mib(tmp_path: Path) -> None:
    """Gigabytes without an announced length, some packed into a megabyte, zeros behind a small body, 100,000 levels:
    all in one process, each is refused, and it needed less than 64 MiB more than for as many healthy sources."""
    async with FaultServer(SPEAKERS, lambda: datetime.now(UTC)) as server:
        well = {name: server.url("well", seed) for seed, name in enumerate(HOSTILE)}
        healthy = await asyncio.to_thread(peak, tmp_path / "well", well)
        hostile = {name: server.url(name.partition("-")[0], seed) for name, seed in HOSTILE.items()}
        grown = await asyncio.to_thread(peak, tmp_path / "hostile", hostile) - healthy
    runs = query(f"sqlite:///{tmp_path}/hostile/kasparro.db", "SELECT source, error_code, fetched FROM runs")
    assert {source: (code, fetched) for source, code, fetched in runs} == {
        name: (FAULTS[fault].code(seed), SIZE * (faulty_page(fault, seed) - 1))
        for name, seed in HOSTILE.items()
        for fault in [name.partition("-")[0]]
    }
    told = f"{grown / 2**20:.1f} MiB beyond {healthy / 2**20:.1f} MiB; {server.sent / 2**20:,.0f} MiB were sent"
    print(f"\n{told}")  # noqa: T201 - the figure that was asked for
    assert grown < BOUND
