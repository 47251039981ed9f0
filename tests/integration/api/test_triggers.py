"""Starting runs by HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from live import Live
from processes import Gate
from shop import csv_source, ended, held, ran, scripted_job, settled, with_jobs, write_prices

from kasparro_app.api.shapes.runs import RunAnswer, StartedAnswer
from kasparro_core.model import RunQuery, Scope

ALIASES = ("/runs", "/trigger-etl", "/run-etl", "/etl/run")


@pytest.fixture
def document() -> dict[str, Any]:
    """Two sources, and one that is switched off."""
    return {"sources": {"prices": csv_source(), "second": csv_source(), "off": csv_source(enabled=False)}}


async def run_count(live: Live) -> int:
    """How many runs the ledger has."""
    async with live.store.begin(write=False) as work:
        return len(await work.runs.list(RunQuery(limit=100)))


@pytest.mark.parametrize("path", ALIASES)
async def test_a_trigger_answers_at_once(live: Live, path: str) -> None:
    """202 with Location while the run goes on; the run is in the ledger by then, and ends well afterwards."""
    gate = Gate()
    with_jobs(live, scripted_job("prices", gate=gate))
    reply = await live.post(f"{path}?source=prices")
    assert reply.status == 202
    held(reply.json, StartedAnswer)
    location = reply.headers["Location"]
    running = await live.get(location)
    held(running.json, RunAnswer)
    assert (running.status, running.json["status"], running.json["trigger"]) == (200, "running", "api")
    gate.opened.set()
    assert (await ended(live, reply.json["run_id"])).status == "succeeded"
    assert (await live.get(location)).json["inserted"] == 2


async def test_without_a_source_all_enabled_ones_run(live: Live, tmp_path: Any) -> None:
    """All that are switched on are started and named, each with its run."""
    write_prices(tmp_path, "a,1")
    reply = await live.post("/runs")
    assert [run["source"] for run in reply.json["runs"]] == ["prices", "second"]
    for run in reply.json["runs"]:
        assert (await ended(live, run["run_id"])).status == "succeeded"


async def test_a_running_source_is_409_with_its_run(live: Live) -> None:
    """A second trigger of a running source names the running run, and starts nothing."""
    gate = Gate()
    with_jobs(live, scripted_job("prices", gate=gate))
    first = await live.post("/runs?source=prices")
    second = await live.post("/runs?source=prices")
    assert (second.status, second.headers["Content-Type"]) == (409, "application/problem+json")
    assert second.json["run_id"] == first.json["run_id"]
    assert second.json["busy"] == [{"source": "prices", "run_id": first.json["run_id"]}]
    gate.opened.set()
    await ended(live, first.json["run_id"])
    assert await run_count(live) == 1


async def test_a_busy_source_does_not_keep_the_others(live: Live) -> None:
    """Of all sources, those that run already are named under `busy`, and the others are started."""
    gate = Gate()
    with_jobs(live, scripted_job("prices", gate=gate), scripted_job("second"))
    first = await live.post("/runs?source=prices")
    reply = await live.post("/runs")
    assert reply.status == 202
    assert [run["source"] for run in reply.json["runs"]] == ["second"]
    assert reply.json["busy"] == [{"source": "prices", "run_id": first.json["run_id"]}]
    gate.opened.set()
    await settled(live)


@pytest.mark.parametrize(("name", "says"), [("pricse", '"prices"'), ("off", "switched off")])
async def test_a_source_that_cannot_be_run_is_404(live: Live, name: str, says: str) -> None:
    """An unknown name is 404 with a near one, a source that is switched off is 404 and says so."""
    reply = await live.post(f"/runs?source={name}")
    assert reply.status == 404
    assert says in reply.json["detail"]


async def test_the_same_request_under_a_key_is_answered_the_same(live: Live, tmp_path: Any) -> None:
    """Under one Idempotency-Key the first answer comes again, byte by byte and under every alias; nothing more runs,
    not even when the first run has long ended."""
    write_prices(tmp_path, "a,1")
    key = {"Idempotency-Key": "daily 2026-01-01"}
    first = await live.post("/runs?source=prices", headers=key)
    await ended(live, first.json["run_id"])
    for path in ALIASES:
        again = await live.post(f"{path}?source=prices", headers=key)
        assert (again.status, again.body, again.headers["Location"]) == (202, first.body, first.headers["Location"])
        assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await run_count(live) == 1


async def test_another_request_under_a_used_key_is_422(live: Live, tmp_path: Any) -> None:
    """A key that stands for one request does not stand for another one."""
    write_prices(tmp_path, "a,1")
    key = {"Idempotency-Key": "k"}
    first = await live.post("/runs?source=prices", headers=key)
    await ended(live, first.json["run_id"])
    for path in ("/runs", "/runs?source=second"):
        assert (await live.post(path, headers=key)).status == 422
    assert await run_count(live) == 1


async def test_each_caller_has_keys_of_its_own(live: Live, tmp_path: Any) -> None:
    """The same Idempotency-Key of another API key is another key: its request is carried out, not answered from the
    first one's."""
    write_prices(tmp_path, "a,1")
    same = {"Idempotency-Key": "nightly"}
    first = await live.post("/runs?source=prices", headers=same)
    await ended(live, first.json["run_id"])
    other = await live.post("/runs?source=prices", key=await live.add_key("other", Scope.TRIGGER), headers=same)
    assert (other.status, "idempotent-replayed" in other.headers) == (202, False)
    assert other.json["run_id"] != first.json["run_id"]
    await settled(live)


async def test_the_same_key_many_times_at_once_starts_one_run(live: Live) -> None:
    """Ten requests with one key at the same instant: one run, and all are given the one answer."""
    gate = Gate()
    with_jobs(live, scripted_job("prices", gate=gate))
    key = {"Idempotency-Key": "all-at-once"}
    replies = await asyncio.gather(*(live.post("/runs?source=prices", headers=key) for _ in range(10)))
    assert {reply.status for reply in replies} == {202}
    assert len({reply.body for reply in replies}) == 1
    assert await run_count(live) == 1
    gate.opened.set()
    await settled(live)


async def test_a_refused_trigger_leaves_its_key_free(live: Live) -> None:
    """A 409 is no answer to keep: under the same key the run is started once the source is free."""
    gate = Gate()
    with_jobs(live, scripted_job("prices", gate=gate))
    first = await live.post("/runs?source=prices")
    key = {"Idempotency-Key": "later"}
    assert (await live.post("/runs?source=prices", headers=key)).status == 409
    gate.opened.set()
    await ended(live, first.json["run_id"])
    assert (await live.post("/runs?source=prices", headers=key)).status == 202
    await settled(live)


@pytest.mark.parametrize("key", ["", "x" * 201, "umläut", "tab\there"])
async def test_a_key_that_is_none_is_422(live: Live, key: str) -> None:
    """Idempotency keys are 1 to 200 printable ASCII characters; the answer names the header."""
    reply = await live.post("/runs?source=prices", headers={"Idempotency-Key": key})
    assert reply.status == 422
    assert reply.json["errors"][0]["parameter"] == "Idempotency-Key"
    assert await run_count(live) == 0


async def test_only_keys_that_may_trigger_do(live: Live) -> None:
    """Without a key 401, with a reading one 403, and nothing is started; a trigger key is enough."""
    reading = await live.add_key("reader", Scope.READ)
    trigger = await live.add_key("cron", Scope.TRIGGER)
    for path in (*ALIASES, "/sources/prices/pause", "/sources/prices/resume"):
        assert (await live.ask("POST", path)).status == 401
        assert (await live.ask("POST", path, key=reading)).status == 403
    assert await run_count(live) == 0
    with_jobs(live, scripted_job("prices"))
    assert (await live.ask("POST", "/runs?source=prices", key=trigger)).status == 202
    await settled(live)


async def test_a_service_that_is_stopping_starts_nothing(live: Live) -> None:
    """While the process is being stopped a trigger is 503 with Retry-After."""
    await live.service.desk.stop(1)
    reply = await live.post("/runs?source=prices")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
    assert await run_count(live) == 0


async def test_runs_of_one_source_follow_one_another(live: Live, tmp_path: Any) -> None:
    """A trigger after the end of the run before starts a new one; the second finds nothing new."""
    write_prices(tmp_path, "a,1")
    assert (await ran(live, "prices")).status == "succeeded"
    assert (await ran(live, "prices")).status == "unchanged"


async def test_a_long_body_starts_nothing(live: Live) -> None:
    """A body that no length announces and that turns out to be too long is 413, and no run is begun."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    assert (await live.post("/runs?source=prices", data=pieces())).status == 413
    assert await run_count(live) == 0
