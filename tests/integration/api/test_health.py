"""Health, by real HTTP, with a database that is there, away, and hanging."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from live import Live
from shop import csv_source, held, ran, write_prices

from kasparro_app.api.shapes.health import HealthAnswer, LiveAnswer, ReadyAnswer
from kasparro_app.probe import Probe
from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import ScheduleState


@pytest.fixture
def document() -> dict[str, Any]:
    """One source that works, one that cannot, one that is switched off."""
    return {
        "sources": {
            "prices": csv_source(),
            "absent": csv_source(path="absent.csv"),
            "off": csv_source(enabled=False),
        }
    }


def away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database refuse every question from now on."""

    @asynccontextmanager
    async def begin(*, write: bool = True) -> AsyncIterator[Any]:
        raise PermanentStorageError("The database secret-host/secret-name cannot be reached.")
        yield

    async def revision() -> str:
        raise PermanentStorageError("The database secret-host/secret-name cannot be reached.")

    monkeypatch.setattr(live.service.store, "begin", begin)
    live.service.revision = Probe(revision)


async def test_health_tells_database_scheduler_and_newest_runs(live: Live, tmp_path: Any) -> None:
    """A service whose sources have run says so per source, and its answer is the one that OpenAPI describes."""
    write_prices(tmp_path, "a,1")
    run = await ran(live, "prices")
    reply = await live.get("/health")
    assert reply.status == 200
    held(reply.json, HealthAnswer)
    assert (reply.json["status"], reply.json["database"]["reachable"]) == ("ok", True)
    assert reply.json["scheduler"]["enabled"] is False
    by_name = {each["source"]: each for each in reply.json["sources"]}
    assert (by_name["prices"]["last_status"], by_name["prices"]["last_run_id"]) == ("succeeded", run.run_id)
    assert by_name["absent"]["last_run_id"] is None


async def test_a_failed_source_degrades_health(live: Live) -> None:
    """The newest run of a source that is switched on failed: degraded, with the error, still 200."""
    await ran(live, "absent")
    reply = await live.get("/health")
    assert (reply.status, reply.json["status"]) == (200, "degraded")
    assert next(each["last_error"] for each in reply.json["sources"] if each["source"] == "absent")


async def test_an_overdue_slot_degrades_health_unless_it_is_paused(live: Live) -> None:
    """A slot that nobody took for more than a minute shows that no scheduler works; a paused source is meant so."""
    async with live.store.begin() as work:
        long_ago = await work.schedules.now() - timedelta(minutes=2)
        await work.schedules.add(ScheduleState("prices", "every 3600s", long_ago, long_ago))
        await work.commit()
    reply = await live.get("/health")
    assert (reply.json["status"], reply.json["scheduler"]["overdue"]) == ("degraded", 1)
    assert (await live.post("/sources/prices/pause")).status == 200
    reply = await live.get("/health")
    assert (reply.json["status"], reply.json["scheduler"]["overdue"]) == ("ok", 0)


async def test_a_database_that_is_away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the database /health and /health/ready are 503 with Retry-After and name no host; /health/live is 200."""
    away(live, monkeypatch)
    for path in ("/health", "/health/ready"):
        reply = await live.get(path)
        assert (reply.status, reply.headers["Content-Type"]) == (503, "application/problem+json")
        assert "Retry-After" in reply.headers
        assert b"secret" not in reply.body
    assert (await live.get("/health/live")).status == 200
    monkeypatch.undo()
    assert (await live.get("/health")).status == 200, "it recovers without a restart"


async def test_a_database_that_hangs_is_not_waited_for(live: Live) -> None:
    """A question that never comes back is 503 after its patience, and is not asked again meanwhile."""
    asked, release = [], asyncio.Event()

    async def question() -> Any:
        asked.append(1)
        await release.wait()

    live.service.vitals = Probe(question, patience=0.05)
    replies = await asyncio.gather(*(live.get("/health") for _ in range(5)))
    assert {reply.status for reply in replies} == {503}
    assert (await live.get("/health")).status == 503
    assert len(asked) == 1
    assert (await live.get("/health/live")).status == 200
    release.set()


async def test_ready_says_the_schema_and_not_while_stopping(live: Live) -> None:
    """Ready with this program's schema; a process that is being stopped is not ready any more."""
    reply = await live.get("/health/ready")
    assert reply.status == 200
    held(reply.json, ReadyAnswer)
    held((await live.get("/health/live")).json, LiveAnswer)
    live.service.stopping.set()
    assert (await live.get("/health/ready")).status == 503
    assert (await live.get("/health/live")).status == 200


@pytest.mark.parametrize("revision", [None, "0001", "9999"])
async def test_another_schema_is_not_ready(live: Live, revision: str | None) -> None:
    """An empty, an older and a newer database are 503, and the answer names what is needed."""

    async def stored() -> str | None:
        return revision

    live.service.revision = Probe(stored)
    reply = await live.get("/health/ready")
    assert reply.status == 503
    assert "this program needs schema" in reply.json["detail"]
