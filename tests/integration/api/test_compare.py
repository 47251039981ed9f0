"""Two runs side by side, by HTTP and on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from keeping import keep
from live import Live
from shop import csv_source, held, ran, write_prices

from kasparro_app.api.shapes.findings import AnomaliesAnswer, DriftAnswer
from kasparro_app.api.shapes.runs import ComparisonAnswer
from kasparro_app.comparison import metric_views
from kasparro_core.model import Anomaly, Counters, DriftEvent, Run, RunStatus, Trigger

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def document() -> dict[str, Any]:
    """Two sources."""
    return {"sources": {"prices": csv_source(), "absent": csv_source(path="absent.csv")}}


async def add_findings(live: Live, run_id: int) -> None:
    """A drift event and an anomaly of a run, as later versions of the program write them."""
    ends = Decimal(9), Decimal(1), Decimal("2.5")
    found = [
        DriftEvent(1, "prices", "", run_id, AT, "retyped", "price", "int", "text", Decimal("0.9"), "evolve"),
        Anomaly(1, "prices", run_id, "fetched", *ends, AT),
    ]
    await keep(live.store, found)


async def test_every_figure_has_difference_and_ratio(live: Live, tmp_path: Path) -> None:
    """Deltas are b - a and ratios b / a; the answer is the same under the earlier names of the parameters."""
    write_prices(tmp_path, "a,1", "b,2")
    a = await ran(live, "prices")
    write_prices(tmp_path, "a,1", "b,3", "c,4")
    b = await ran(live, "prices")
    reply = await live.get(f"/compare-runs?a={a.run_id}&b={b.run_id}")
    assert reply.status == 200
    held(reply.json, ComparisonAnswer)
    metrics = {each["metric"]: each for each in reply.json["metrics"]}
    assert metrics["fetched"] == {"metric": "fetched", "a": 2, "b": 3, "delta": 1, "ratio": 1.5}
    assert metrics["updated"] == {"metric": "updated", "a": 0, "b": 1, "delta": 1, "ratio": None}
    assert set(Counters._fields) < set(metrics)
    assert reply.json["changed"] == []
    earlier = await live.get(f"/compare-runs?run_id_1={a.run_id}&run_id_2={b.run_id}")
    assert earlier.json["metrics"] == reply.json["metrics"]


async def test_findings_of_the_runs_come_with_them(live: Live, tmp_path: Path) -> None:
    """Changes of shape noticed between the runs, and anomalies with their expected range; /drift and /anomalies list
    the same."""
    runs = []
    for number in range(3):
        write_prices(tmp_path, f"a,{number}")
        runs.append((await ran(live, "prices")).run_id)
    await add_findings(live, runs[1])
    reply = (await live.get(f"/compare-runs?a={runs[1]}&b={runs[0]}")).json
    held(reply, ComparisonAnswer)
    (change,) = reply["changed_fields"]
    assert (change["path"], change["change"], change["run_id"]) == ("price", "retyped", runs[1])
    assert reply["anomalies"] == [
        {"run_id": runs[1], "metric": "fetched", "found": 9, "expected_low": 1, "expected_high": 2.5}
    ]
    later = (await live.get(f"/compare-runs?a={runs[1]}&b={runs[2]}")).json
    assert later["changed_fields"] == [], "it was known by then"
    drift, found = (await live.get("/drift")).json, (await live.get(f"/anomalies?run_id={runs[1]}")).json
    held(drift, DriftAnswer)
    held(found, AnomaliesAnswer)
    assert (len(drift["data"]), len(found["data"])) == (1, 1)
    assert (await live.get("/drift?source=absent")).json["data"] == []


async def test_what_cannot_be_compared(live: Live, tmp_path: Path) -> None:
    """Runs of two sources are 400, an unknown run 404, a missing or bad id 422, each as a problem."""
    write_prices(tmp_path, "a,1")
    a, b = (await ran(live, "prices")).run_id, (await ran(live, "absent")).run_id
    assert (await live.get(f"/compare-runs?a={a}&b={b}")).status == 400
    assert (await live.get(f"/compare-runs?a={a}&b=999")).status == 404
    missing = await live.get(f"/compare-runs?a={a}")
    assert (missing.status, missing.json["errors"][0]["parameter"]) == (422, "b")
    assert (await live.get(f"/compare-runs?a={a}&b=x")).status == 422


def test_a_run_under_way_has_no_duration_yet() -> None:
    """What a run cannot tell yet is null, and so are difference and ratio; very unlike runs still have a ratio."""
    a = Run(1, "s", Trigger.CLI, RunStatus.SUCCEEDED, AT, AT + timedelta(microseconds=1), Counters(fetched=2**62))
    b = Run(2, "s", Trigger.CLI, RunStatus.RUNNING, AT, None, Counters(fetched=1))
    views = {each["metric"]: each for each in metric_views(a, b)}
    assert views["seconds"] == {"metric": "seconds", "a": Decimal("0.000001"), "b": None, "delta": None, "ratio": None}
    assert views["records_per_second"]["a"] == Decimal(2**62) * 1_000_000
    assert views["fetched"]["delta"] == 1 - 2**62


@pytest.mark.parametrize("document", [{"sources": {"prices": csv_source()}}], indirect=False)
async def test_the_command_line_says_the_same(
    live: Live, tmp_path: Path, document: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """`compare --json` prints what the API answers, without `meta`."""
    import asyncio
    import os
    import sys

    write_prices(tmp_path, "a,1")
    a, b = (await ran(live, "prices")).run_id, (await ran(live, "prices")).run_id
    (tmp_path / "kasparro.toml").write_text('[sources.prices]\ntype = "csv"\npath = "prices.csv"\n')
    url = live.service.settings.database_url
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kasparro_app", "compare", str(a), str(b), "--json",
        cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    told = (await live.get(f"/compare-runs?a={a}&b={b}")).json
    del told["meta"]
    assert json.loads(said) == told
