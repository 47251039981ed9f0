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

from kasparro_app.api.shapes.comparison import ComparisonAnswer
from kasparro_app.api.shapes.findings import DriftAnswer
from kasparro_app.version import program_version
from kasparro_core.model import Anomaly, AnomalyScope, Counters, DriftEvent, Latency, Run, RunFacts, RunStatus, Trigger

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def document() -> dict[str, Any]:
    """A source, one whose file is not there, and one that keeps no history."""
    others = {"absent": csv_source(path="absent.csv"), "bare": csv_source(history=False)}
    return {"sources": {"prices": csv_source(), **others}}


async def add_findings(live: Live, run_id: int) -> None:
    """A drift event and an anomaly of a run."""
    change = DriftEvent(1, "prices", "", run_id, AT, "retyped", "price", "int", "text", Decimal("0.9"), "evolve")
    await keep(live.store, [change])
    ends = {"expected_low": Decimal(1), "expected_high": Decimal("2.5")}
    found = Anomaly("prices", run_id, AnomalyScope.RUN, "fetched", Decimal(9), AT, "It read nine items.", **ends)
    async with live.store.begin() as work:
        await work.findings.add_anomalies([found])
        await work.commit()


async def add_run(live: Live, day: int, fetched: int, p95: str, *, nulls: str = "0.1", seconds: float = 3) -> Run:
    """A run of a day that read its source whole."""
    began, facts = AT + timedelta(days=day), Latency(4, Decimal(50), Decimal(p95), Decimal(p95))
    async with live.store.begin() as work:
        run = await work.runs.start("prices", Trigger.SCHEDULE, began)
        await work.runs.add(run.run_id, Counters(fetched=fetched, unchanged=fetched, requests=4, batches=4))
        run = await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, began + timedelta(seconds=seconds))
        rates = {"price": Decimal(nulls)}
        known = RunFacts("1.0", 2, 0, facts, items=fetched, null_rates=rates, comparable=True)
        await work.runs.put_facts(run.run_id, known)
        await work.commit()
    return run


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
    nothing = {"expected": None, "verdict": "unknown"}
    assert metrics["fetched"] == {"metric": "fetched", "a": 2, "b": 3, "delta": 1, "ratio": 1.5, **nothing}
    assert metrics["updated"] == {"metric": "updated", "a": 0, "b": 1, "delta": 1, "ratio": None, **nothing}
    assert set(Counters._fields) < set(metrics)
    version = {"metric": "schema_version", "a": 1, "b": 1, "delta": 0, "ratio": None}
    assert metrics["schema_version"] == {**version, "expected": None, "verdict": "same"}
    assert metrics["code_version"]["a"] == metrics["code_version"]["b"] == program_version()
    assert reply.json["changed"] == []
    earlier = await live.get(f"/compare-runs?run_id_1={a.run_id}&run_id_2={b.run_id}")
    assert earlier.json["metrics"] == reply.json["metrics"]


async def test_findings_of_the_runs_come_with_them(live: Live, tmp_path: Path) -> None:
    """Changes of shape noticed between the runs, as /drift lists them, and anomalies with their expected range."""
    runs = []
    for number in range(3):
        write_prices(tmp_path, f"a,{number}")
        runs.append((await ran(live, "prices")).run_id)
    await add_findings(live, runs[1])
    reply = (await live.get(f"/compare-runs?a={runs[1]}&b={runs[0]}")).json
    held(reply, ComparisonAnswer)
    (change,) = reply["changed_fields"]
    assert (change["path"], change["change"], change["run_id"]) == ("price", "retyped", runs[1])
    (finding,) = reply["anomalies"]
    assert (finding["run_id"], finding["metric"], finding["found"]) == (runs[1], "fetched", 9)
    assert (finding["expected_low"], finding["expected_high"]) == (1, 2.5)
    assert (finding["explanation"], finding["state"]) == ("It read nine items.", "open")
    later = (await live.get(f"/compare-runs?a={runs[1]}&b={runs[2]}")).json
    assert later["changed_fields"] == [], "it was known by then"
    drift = (await live.get("/drift")).json
    held(drift, DriftAnswer)
    assert len(drift["data"]) == 1
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


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ("a=1&b=3&run_id_1=5", "run_id_1", "one pair of names"),
        ("a=1&run_id_2=3", "run_id_2", "`a` and `b` or `run_id_1` and `run_id_2`"),
        ("run_id_1=1", "run_id_2", "the id of a run"),
        ("run_id_2=1", "run_id_1", "the id of a run"),
        ("", "a", "the id of a run"),
    ],
)
async def test_runs_are_named_by_one_pair_of_names(live: Live, query: str, parameter: str, words: str) -> None:
    """Names of both pairs are 422 and say so, and so is half a pair, by the name that is missing of it."""
    reply = await live.get(f"/compare-runs?{query}")
    assert (reply.status, reply.json["errors"][0]["parameter"]) == (422, parameter)
    assert words in reply.json["detail"]


async def test_what_was_expected_of_the_second_run(live: Live) -> None:
    """Of run b alone, by the runs before it: in its range, below it, above it. The run itself is not among them, and
    with too few of them nothing is expected."""
    runs = [await add_run(live, day, 1_000 + day, "100") for day in range(20)]
    strange = await add_run(live, 20, 120, "9000", nulls="0.8")
    reply = (await live.get(f"/compare-runs?a={runs[18].run_id}&b={strange.run_id}")).json
    held(reply, ComparisonAnswer)
    metrics = {each["metric"]: each for each in reply["metrics"]}
    verdicts = {name: metrics[name]["verdict"] for name in ("fetched", "requests", "latency_p95", "seconds")}
    assert verdicts == {"fetched": "low", "requests": "normal", "latency_p95": "high", "seconds": "normal"}
    fetched = metrics["fetched"]["expected"]
    assert 120 < fetched["low"] < fetched["usual"] < fetched["high"]
    assert (fetched["samples"], fetched["basis"]) == (20, "recent")
    (price,) = reply["null_rates"]
    assert (price["path"], price["delta"], price["verdict"]) == ("price", 0.7, "high")
    backwards = (await live.get(f"/compare-runs?a={strange.run_id}&b={runs[18].run_id}")).json
    assert {each["verdict"] for each in backwards["metrics"]} <= {"normal", "same", "unknown"}
    few = (await live.get(f"/compare-runs?a={runs[0].run_id}&b={runs[7].run_id}")).json
    assert {each["expected"] for each in few["metrics"]} == {None}
    assert any("Fewer than 8 successful runs" in note for note in few["notes"])


async def test_what_became_of_the_records(live: Live, tmp_path: Path) -> None:
    """By key and count, from the earlier run to the later one whichever is named first; and what nobody knows is said:
    the source has no history."""
    runs = []
    for rows in (["a,1", "b,1"], ["a,2", "b,1", "c,1"], ["a,3", "b,1", "c,1"]):
        write_prices(tmp_path, *rows)
        runs.append((await ran(live, "bare")).run_id)
    last = (await live.get(f"/compare-runs?a={runs[1]}&b={runs[2]}")).json
    none = {"count": 0, "keys": []}
    fates = {"added": none, "gone": none, "returned": none, "unknown": none}
    assert last["records"] == {**fates, "from_run": runs[1], "to_run": runs[2], "changed": {"count": 1, "keys": ["a"]}}
    assert last["notes"] == [
        f"Fewer than 8 successful runs before run {runs[2]} can be compared with it, so no ranges are expected."
    ]
    first = (await live.get(f"/compare-runs?a={runs[1]}&b={runs[0]}")).json
    assert (first["records"]["from_run"], first["records"]["to_run"]) == (runs[0], runs[1])
    assert first["records"]["added"] == {"count": 1, "keys": ["c"]}
    assert first["records"]["unknown"] == {"count": 1, "keys": ["a"]}
    assert any(note.startswith("Of 1 records it is not known whether they changed") for note in first["notes"])
    same = (await live.get(f"/compare-runs?a={runs[0]}&b={runs[0]}")).json
    assert {same["records"][fate]["count"] for fate in (*fates, "changed")} == {0}


async def test_a_run_under_way_has_no_records_to_compare(live: Live, tmp_path: Path) -> None:
    """Nor has it facts, and both are said; one that left no facts at its end is told apart."""
    write_prices(tmp_path, "a,1")
    ended = (await ran(live, "prices")).run_id
    async with live.store.begin() as work:
        died = await work.runs.start("prices", Trigger.CLI, AT)
        await work.runs.finish(died.run_id, RunStatus.INTERRUPTED, AT)
        running = await work.runs.start("prices", Trigger.REPLAY, AT)
        await work.commit()
    reply = (await live.get(f"/compare-runs?a={ended}&b={running.run_id}")).json
    held(reply, ComparisonAnswer)
    assert reply["records"] is None
    assert [note.partition(":")[0] for note in reply["notes"]] == [
        f"Run {running.run_id} is not over",
        f"Run {running.run_id} is a replay",
    ]
    reply = (await live.get(f"/compare-runs?a={ended}&b={died.run_id}")).json
    assert reply["notes"][0].startswith(f"Run {died.run_id} left no facts")


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
