"""What the API tells of a source that was backfilled."""

from __future__ import annotations

from typing import Any

import pytest
from live import Live
from windowed import days

from kasparro_app.api.shapes.sources import SourceAnswer
from kasparro_core.model import PartitionState, RunStatus, Trigger


@pytest.fixture
def document() -> dict[str, Any]:
    """A source that can be asked for its past."""
    backfill = {"start_param": "from", "end_param": "to", "state": "now"}
    return {"sources": {"past": {"type": "http", "url": "https://api.example.com/items", "backfill": backfill}}}


async def test_windows_are_summed_up(live: Live) -> None:
    """Three windows, of which one was reset, and a failed one: the partitions are those of the live source, the windows
    are one object; before there were any it is null."""
    assert (await live.get("/sources/past")).json["backfill"] is None
    windows = days(4)
    async with live.store.begin() as work:
        at = live.service.clock.now().replace(microsecond=0)
        for partition, cursor in (("", {"next": {}}), *((each.partition, {"next": {}}) for each in windows[:3])):
            await work.checkpoints.save("past", partition, cursor, expected_version=0, run_id=None, at=at)
        await work.checkpoints.save("past", windows[0].partition, {}, expected_version=1, run_id=None, at=at)
        await work.partitions.save(PartitionState("past", windows[3].partition, "failed", last_error="404"))
        await work.commit()
    reply = (await live.get("/sources/past")).json
    SourceAnswer.model_validate_json((await live.get("/sources/past")).body)
    assert [each["partition"] for each in reply["partitions"]] == [""]
    assert reply["backfill"]["windows"] == 2
    assert reply["backfill"]["failed"] == 1
    assert (reply["backfill"]["starts_at"], reply["backfill"]["ends_at"]) == (
        "2024-01-02T00:00:00Z",
        "2024-01-04T00:00:00Z",
    )


async def test_a_backfill_does_not_make_a_source_fresh(live: Live) -> None:
    """Its run is in the ledger, and neither the newest run of its source nor its last success."""
    async with live.store.begin() as work:
        run = await work.runs.start("past", Trigger.BACKFILL, live.service.clock.now())
        await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, live.service.clock.now())
        await work.commit()
    reply = (await live.get("/sources/past")).json
    assert (reply["last_run"], reply["freshness"]["lag_seconds"]) == (None, None)
    assert [each["trigger"] for each in (await live.get("/runs?source=past")).json["data"]] == ["backfill"]
    assert "etl_lag_seconds{" not in (await live.get("/metrics")).body.decode()
