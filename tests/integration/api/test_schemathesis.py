"""The API does what its own description says, whatever is asked: schemathesis against a live server."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest
from live import Live

CASES = int(os.environ.get("KASPARRO_SCHEMATHESIS_CASES", "1"))
"""Cases an operation, beside those that its description lists; the storm before a release takes 300."""
STREAMS = """
[[operations]]
include-path = "/events"
request-timeout = 1.0
"""
"""A stream has no end: so many seconds of it are read in each case."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 10 * CASES)]


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """What is asked of the API does not depend on the kind of database: once, on PostgreSQL."""
    return postgres_url


@pytest.fixture
def document(tmp_path: Any) -> dict[str, Any]:
    """A source that is there to be run, paused and looked at."""
    (tmp_path / "prices.csv").write_text("id,price\n" + "".join(f"r{n},{n}.5\n" for n in range(40)), encoding="utf-8")
    mapping = {"key": "id", "value": "price"}
    return {"sources": {"prices": {"type": "csv", "path": "prices.csv", "mapping": mapping}}}


async def test_no_finding(live: Live, tmp_path: Any) -> None:
    """All checks on every operation, with a key in X-API-Key, so that the other two headers are made up; only that each
    well-formed cursor, pair of dates and pair of runs be accepted is left out, which no schema can say."""
    await _fill(live)
    (tmp_path / "schemathesis.toml").write_text(STREAMS, encoding="utf-8")
    checks = [
        "--checks",
        "all",
        "--exclude-checks",
        "positive_data_acceptance",
        "--continue-on-failure",
        "--workers",
        "4",
    ]
    options = ["-n", str(CASES), "--seed", "1", "-H", f"X-API-Key: {live.key}", "--no-color"]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{live.url}/openapi.json", *checks, *options),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await child.communicate()
    assert child.returncode == 0, told.decode()[-8000:]


async def _fill(live: Live) -> None:
    answer = await live.post("/runs?source=prices")
    assert answer.status == 202
    while live.service.desk.running:
        await asyncio.sleep(0.01)
