"""A change of shape, from a file through the database to whoever asks or listens."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from live import Live
from shapely import candle_rows
from shop import held, ran

from kasparro_app.api.shapes.findings import DriftAnswer
from kasparro_core.model import RunStatus


@pytest.fixture
def document() -> dict[str, Any]:
    """One source of candles that takes changes, and one that does not."""
    candles = {"type": "csv", "path": "candles.csv", "mapping": {"key": ["Date"]}, "schedule": "manual"}
    return {"sources": {"open": candles, "frozen": {**candles, "drift": "freeze"}}}


def write(folder: Path, **renamed: str) -> None:
    """Sixty candles, with other names for some columns."""
    rows = [{renamed.get(name, name): value for name, value in row.items()} for row in candle_rows(60)]
    with (folder / "candles.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


async def test_a_change_is_listed_counted_and_told(live: Live, tmp_path: Path) -> None:
    """One entry of /drift, one of /compare-runs, one count of the metric and one event, whatever the database."""
    write(tmp_path)
    first = await ran(live, "open")
    async with live.store.begin(write=False) as work:
        seen = await work.events.last_id()
    write(tmp_path, Close="Last")
    second = await ran(live, "open")
    answer = (await live.get("/drift?source=open")).json
    held(answer, DriftAnswer)
    (entry,) = answer["data"]
    assert (entry["change"], entry["path"], entry["before"], entry["after"]) == ("renamed", "Close", "Close", "Last")
    assert (entry["run_id"], entry["action"]) == (second.run_id, "evolve")
    assert 0.6 <= entry["confidence"] <= 1
    compared = (await live.get(f"/compare-runs?a={first.run_id}&b={second.run_id}")).json
    assert [each["path"] for each in compared["changed_fields"]] == ["Close"]
    metrics = (await live.get("/metrics")).body.decode()
    assert 'etl_drift_events_total{change="renamed",source="open"} 1.0' in metrics
    async with live.store.begin(write=False) as work:
        told = [each for each in await work.events.after(seen) if str(each.type) == "drift"]
    (event,) = told
    assert dict(event.data) == {
        "partition": str(event.data["partition"]),
        "change": "renamed",
        "path": "Close",
        "before": "Close",
        "after": "Last",
        "confidence": event.data["confidence"],
        "action": "evolve",
    }


async def test_a_frozen_source_fails_until_its_shape_is_accepted(live: Live, tmp_path: Path) -> None:
    """Its run fails with a sentence that names the field, nothing of it is stored, and the change is told once."""
    write(tmp_path)
    await ran(live, "frozen")
    write(tmp_path, Close="Last")
    for _ in range(2):
        run = await ran(live, "frozen")
        assert (run.status, run.error_code, run.counters.fetched) == (RunStatus.FAILED, "drift", 0)
        assert "`Close` is now called `Last`" in str(run.error)
    assert len((await live.get("/drift?source=frozen")).json["data"]) == 1
    async with live.store.begin(write=False) as work:
        waiting, held_now = await work.schemas.newest("frozen")
    assert (waiting.version, waiting.accepted_at, held_now.version) == (2, None, 1)
