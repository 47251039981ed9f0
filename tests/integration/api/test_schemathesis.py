"""The API does what its own description says, whatever is asked: schemathesis against a live server."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest
from live import Live

CASES = int(os.environ.get("KASPARRO_SCHEMATHESIS_CASES", "10"))
"""Cases an operation; the storm before a release takes 300."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 30 * CASES)]


@pytest.fixture
def document(tmp_path: Any) -> dict[str, Any]:
    """A source that is there to be run, paused and looked at."""
    (tmp_path / "prices.csv").write_text("id,price\n" + "".join(f"r{n},{n}.5\n" for n in range(40)), encoding="utf-8")
    mapping = {"key": "id", "value": "price"}
    return {"sources": {"prices": {"type": "csv", "path": "prices.csv", "mapping": mapping}}}


async def test_no_finding(live: Live, tmp_path: Any) -> None:
    """All checks on every operation; only that each well-formed cursor and pair of dates be accepted is left out, which
    no schema can say."""
    await _fill(live)
    arguments = ["run", f"{live.url}/openapi.json", "--checks", "all", "--exclude-checks", "positive_data_acceptance"]
    options = ["-n", str(CASES), "--seed", "1", "-H", f"X-API-Key: {live.key}", "--no-color", "--continue-on-failure"]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        *arguments,
        *options,
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
