"""Sources of a served configuration that a test can hold: CSV files beside it, and gated scripted ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from live import Live
from processes import Gate
from scripted import Page, ScriptedSource

from kasparro_core.model import Run, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob

CSV: dict[str, Any] = {"type": "csv", "path": "prices.csv", "kind": "quote", "schedule": "every 1h"}
"""A CSV source with a schedule."""


def write_prices(folder: Path, *rows: str) -> None:
    """The file of the source CSV."""
    (folder / "prices.csv").write_text("\n".join(("id,price", *rows)) + "\n")


def csv_source(**more: Any) -> dict[str, Any]:
    """The configuration of a CSV source."""
    return {**CSV, "mapping": {"key": ["id"], "value": "price", "title": "id"}, **more}


def scripted_job(name: str, *, gate: Gate | None = None, pages: list[Page] | None = None) -> SourceJob:
    """A job in the place of a configured source: two items, and the gate before the first page."""
    source = ScriptedSource(
        {"": pages if pages is not None else [[{"id": "1", "price": "1"}], [{"id": "2", "price": "2"}]]},
        name=name,
        before_page=gate,
    )
    return SourceJob(source, RecordMapping(source=name, kind="quote", key=["id"], value="price"))


def with_jobs(live: Live, *jobs: SourceJob) -> None:
    """Let these jobs stand in for the configured sources of their names."""
    live.service.jobs = {**live.service.jobs, **{job.name: job for job in jobs}}


async def ended(live: Live, run_id: int) -> Run:
    """The run in its final state. Fails after 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        async with live.store.begin(write=False) as work:
            run = await work.runs.get(run_id)
        if run is not None and run.status is not RunStatus.RUNNING:
            await settled(live)
            return run
        await asyncio.sleep(0.01)
    raise TimeoutError(f"run {run_id} does not end")


async def settled(live: Live) -> None:
    """Wait until no task of the desk is under way."""
    while live.service.desk.running:
        await asyncio.sleep(0.005)


async def ran(live: Live, source: str) -> Run:
    """Trigger a source by HTTP and wait for the end of its run."""
    reply = await live.post(f"/runs?source={source}")
    assert reply.status == 202, reply.body
    return await ended(live, reply.json["run_id"])


def held(document: Mapping[str, Any], model: Any) -> None:
    """Hold an answer to the model that describes it in OpenAPI."""
    import json

    model.model_validate_json(json.dumps(document))
