"""/metrics: what Prometheus is told."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from live import Live
from processes import Gate
from prometheus_client.parser import text_string_to_metric_families
from shop import csv_source, ended, ran, scripted_job, settled, with_jobs, write_prices

from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import Metric

FAMILIES = {
    "etl_records_processed": ("counter", {"source", "outcome"}),
    "etl_runs": ("counter", {"source", "status"}),
    "etl_run_duration_seconds": ("histogram", {"source"}),
    "etl_last_success_timestamp_seconds": ("gauge", {"source"}),
    "etl_rejections": ("counter", {"source", "code"}),
    "etl_retries": ("counter", {"source", "reason"}),
    "etl_throttled": ("counter", {"source"}),
    "etl_drift_events": ("counter", {"source", "change"}),
    "etl_anomalies": ("counter", {"source", "metric"}),
    "etl_anomalies_open": ("gauge", {"source"}),
    "etl_lag_seconds": ("gauge", {"source"}),
    "http_requests": ("counter", {"route", "method", "status"}),
    "http_request_duration_seconds": ("histogram", {"route"}),
}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def document() -> dict[str, Any]:
    """A source that comes through with a rejection, and one that fails."""
    return {"sources": {"prices": csv_source(fail_rejected=1), "absent": csv_source(path="absent.csv")}}


async def scraped(live: Live) -> Samples:
    """Every sample by name and labels; checks the form of the answer on the way."""
    reply = await live.get("/metrics")
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(reply.body.decode()))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """One sample."""
    return samples.get((name, frozenset(labels.items())))


async def add_all_kinds(live: Live) -> None:
    """Sums of the kinds that a CSV source never has."""
    async with live.store.begin() as work:
        sums = {(Metric.RETRIES, "429"): 2, (Metric.DRIFT, "added"): 1, (Metric.ANOMALIES, "fetched"): 1}
        await work.totals.add("prices", sums)
        await work.commit()


async def test_every_family_has_its_name_type_and_labels(live: Live, tmp_path: Path) -> None:
    """All documented families are there, each once, with help, type and exactly the documented labels."""
    write_prices(tmp_path, "a,1", ",2")
    await ran(live, "prices")
    await ran(live, "absent")
    await add_all_kinds(live)
    await live.get("/metrics")
    text = (await live.get("/metrics")).body.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, (kind, labels) in FAMILIES.items():
        family = families[name]
        assert (family.type, bool(family.documentation)) == (kind, True)
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels
    assert text.count("# TYPE") == len(families)


async def test_the_figures_follow_the_ledger(live: Live, tmp_path: Path) -> None:
    """Counters, histogram and gauges say what the runs did."""
    write_prices(tmp_path, "a,1", "b,2", ",3")
    await ran(live, "prices")
    run = await ran(live, "prices")
    await ran(live, "absent")
    samples = await scraped(live)
    outcomes = {"inserted": 2, "rejected": 1}
    for outcome, expected in outcomes.items():
        assert value(samples, "etl_records_processed_total", source="prices", outcome=outcome) == expected
    assert value(samples, "etl_runs_total", source="absent", status="failed") == 1
    assert value(samples, "etl_run_duration_seconds_count", source="prices") == 2
    assert value(samples, "etl_run_duration_seconds_bucket", source="prices", le="+Inf") == 2
    assert value(samples, "etl_run_duration_seconds_bucket", source="prices", le="3600.0") == 2
    assert (value(samples, "etl_run_duration_seconds_sum", source="prices") or 0) > 0
    assert run.finished_at is not None
    success = value(samples, "etl_last_success_timestamp_seconds", source="prices")
    assert success == pytest.approx(run.finished_at.timestamp(), abs=1e-3)
    assert value(samples, "etl_last_success_timestamp_seconds", source="absent") is None
    assert (value(samples, "etl_lag_seconds", source="prices") or -1) >= 0
    assert value(samples, "http_requests_total", route="/runs", method="POST", status="202") is not None


async def test_counters_never_go_down(live: Live) -> None:
    """While runs come and go, scrape after scrape: no counter, bucket or sum is ever lower than before, and in the end
    nothing is counted twice."""
    pages: list[Any] = []
    with_jobs(live, scripted_job("prices", pages=pages))
    before: Samples = {}
    scrapes = 0

    async def scrape() -> None:
        nonlocal before, scrapes
        now = await scraped(live)
        lower = {
            key: (amount, now.get(key, 0))
            for key, amount in before.items()
            if key[0].startswith("etl_") and not key[0].startswith(("etl_lag", "etl_last")) and now.get(key, 0) < amount
        }
        assert not lower
        before, scrapes = now, scrapes + 1

    for run in range(4):
        pages += [[{"id": f"{run}-{page}-{item}", "price": "1"} for item in range(20)] for page in range(8)]
        run_id = (await live.post("/runs?source=prices")).json["run_id"]
        while live.service.desk.running:
            await scrape()
        await ended(live, run_id)
    await scrape()
    assert scrapes > 4
    assert value(before, "etl_records_processed_total", source="prices", outcome="inserted") == 4 * 160
    total = sum(amount for (name, _), amount in before.items() if name == "etl_records_processed_total")
    assert total == 4 * 160


async def test_a_run_under_way_is_counted(live: Live) -> None:
    """What a run has committed is in the figures before it ends."""
    gate = Gate()

    async def before(_partition: str, page: int) -> None:
        if page == 2:
            await gate("", page)

    pages: list[Any] = [[{"id": str(number), "price": "1"}] for number in range(3)]
    with_jobs(live, scripted_job("prices", gate=before, pages=pages))  # type: ignore[arg-type]
    await live.post("/runs?source=prices")
    await gate.reached.wait()
    async with asyncio.timeout(20):
        while True:
            samples = await scraped(live)
            if value(samples, "etl_records_processed_total", source="prices", outcome="inserted") == 2:
                break
    assert value(samples, "etl_run_duration_seconds_count", source="prices") == 0
    gate.opened.set()
    await settled(live)


async def test_without_the_database_there_are_no_figures(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape fails while the database is away: figures that are missing would look like a service that does
    nothing."""

    def begin(*, write: bool = True) -> Any:
        raise PermanentStorageError("away")

    monkeypatch.setattr(live.service.store, "begin", begin)
    assert (await live.get("/metrics")).status == 503


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_promtool_has_nothing_to_say(live: Live, tmp_path: Path) -> None:
    """`promtool check metrics` accepts names, types, help and units."""
    write_prices(tmp_path, "a,1", ",2")
    await ran(live, "prices")
    await add_all_kinds(live)
    await live.get("/runs")
    text = (await live.get("/metrics")).body
    process = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate(text)
    assert (process.returncode, said.decode()) == (0, "")
