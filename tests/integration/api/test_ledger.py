"""The ledger, the sources and what was refused, by real HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live import Live
from processes import Gate
from shop import csv_source, ended, held, ran, scripted_job, settled, with_jobs, write_prices

from kasparro_app.api.shapes.figures import StatsAnswer
from kasparro_app.api.shapes.findings import RejectionsAnswer
from kasparro_app.api.shapes.runs import RunAnswer, RunsAnswer
from kasparro_app.api.shapes.sources import ScheduleAnswer, SourceAnswer, SourcesAnswer
from kasparro_core.model import ScheduleState, Slot, SlotState, Trigger

SECRET = "s3cr3t-value"


def http_source(auth: dict[str, Any] | None = None) -> dict[str, Any]:
    """An HTTP source with a secret wherever a person may write one."""
    return {
        "type": "http",
        "url": f"https://api.example.com/items?token={SECRET}&page={SECRET}#{SECRET}",
        "params": {"plain": SECRET},
        "headers": {"X-Plain": SECRET},
        "mapping": {"key": ["id"]},
        **({"auth": auth} if auth else {}),
    }


@pytest.fixture
def document() -> dict[str, Any]:
    """A CSV source, and sources with every kind of secret."""
    return {
        "sources": {
            "prices": csv_source(max_rejected=1, fail_rejected=1),
            "absent": csv_source(path="absent.csv"),
            "bearer": http_source({"type": "bearer", "token": SECRET}),
            "basic": http_source({"type": "basic", "username": SECRET, "password": SECRET}),
            "header": http_source({"type": "api_key", "key": SECRET, "header": "X-Key"}),
            "query": http_source({"type": "api_key", "key": SECRET, "query": "apikey"}),
            "remote": {"type": "csv", "path": f"https://u:{SECRET}@example.com/a.csv?sig={SECRET}"},
            "feed": {"type": "feed", "url": f"https://u:{SECRET}@example.com/feed?k={SECRET}"},
            "feeds": {"type": "feed", "urls": [f"https://example.com/a?k={SECRET}", f"https://{SECRET}@example.com/b"]},
            "opml": {"type": "feed", "opml": f"https://{SECRET}@example.com/list.opml?{SECRET}"},
        }
    }


async def test_stats_add_up(live: Live, tmp_path: Any) -> None:
    """Sums per source and in all follow the runs: by outcome, by status, in bytes, with durations and newest runs."""
    write_prices(tmp_path, "a,1", "b,2")
    await ran(live, "prices")
    write_prices(tmp_path, "a,1", "b,3", ",9")
    second = await ran(live, "prices")
    reply = await live.get("/stats")
    held(reply.json, StatsAnswer)
    prices = next(each for each in reply.json["sources"] if each["source"] == "prices")
    assert prices["records"] == {"processed": 5, "inserted": 2, "updated": 1, "unchanged": 1, "rejected": 1}
    assert (prices["runs"]["total"], prices["runs"]["failed"], prices["durations"]["count"]) == (2, 0, 2)
    assert prices["durations"]["p50_seconds"] <= prices["durations"]["p95_seconds"]
    assert prices["last_run"]["run_id"] == prices["last_success"]["run_id"] == second.run_id
    assert prices["rejections"]
    assert prices["last_failure_at"] is None
    assert reply.json["total"]["records"] == prices["records"]
    assert reply.json["total"]["bytes_fetched"] == prices["bytes_fetched"] > 0


async def test_a_run_under_way_counts_and_is_not_counted_twice(live: Live) -> None:
    """What a run has done so far stands in the figures; when it ends nothing is added a second time."""
    gate = Gate()

    async def before(_partition: str, page: int) -> None:
        if page == 2:
            await gate("", page)

    pages = [[{"id": str(number), "price": "1"}] for number in range(3)]
    with_jobs(live, scripted_job("prices", gate=before, pages=pages))  # type: ignore[arg-type]
    run_id = (await live.post("/runs?source=prices")).json["run_id"]
    await gate.reached.wait()
    for _ in range(400):
        total = (await live.get("/stats")).json["total"]
        if total["records"]["inserted"] == 2:
            break
    assert (total["runs"]["running"], total["runs"]["total"], total["records"]["processed"]) == (1, 1, 2)
    gate.opened.set()
    await ended(live, run_id)
    total = (await live.get("/stats")).json["total"]
    assert (total["runs"]["running"], total["runs"]["succeeded"], total["records"]["processed"]) == (0, 1, 3)


async def test_runs_page_by_cursor(live: Live, tmp_path: Any) -> None:
    """Newest first, two a page, following cursors and Link: every run once; filters narrow, and bind their cursor."""
    for number in range(5):
        write_prices(tmp_path, f"a,{number}")
        await ran(live, "prices")
    await ran(live, "absent")
    seen: list[int] = []
    path = "/runs?source=prices&limit=2"
    while path:
        reply = await live.get(path)
        held(reply.json, RunsAnswer)
        seen += [run["run_id"] for run in reply.json["data"]]
        link = reply.headers.get("Link")
        assert (link is None) == (reply.json["pagination"]["next_cursor"] is None)
        path = link.partition(">")[0].lstrip("<") if link else ""
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 5
    assert [run["source"] for run in (await live.get("/runs?status=failed")).json["data"]] == ["absent"]
    cursor = (await live.get("/runs?source=prices&limit=2")).json["pagination"]["next_cursor"]
    refused = await live.get(f"/runs?limit=2&cursor={cursor}")
    assert (refused.status, refused.json["errors"][0]["parameter"]) == (422, "cursor")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "status=nope", "cursor=abc", "unknown=1", "source=%00", "limit=1&limit=2"]
)
async def test_bad_parameters_are_named(live: Live, query: str) -> None:
    """Each bad parameter of a list is 422 and stands under `errors`."""
    reply = await live.get(f"/runs?{query}")
    assert reply.status == 422
    assert reply.json["errors"][0]["parameter"] == query.partition("=")[0]


async def test_a_run_has_its_chain_and_its_slot(live: Live) -> None:
    """A run shows the runs it goes on from, and the slot that started it, not those it made others skip."""
    at = live.service.clock.now().replace(microsecond=0)
    async with live.store.begin() as work:
        runs = []
        for _ in range(3):
            resumes = runs[-1].run_id if runs else None
            runs.append(await work.runs.start("prices", Trigger.SCHEDULE, at, resumes=resumes))
        later = at.replace(year=at.year + 1)
        slots = [
            Slot("prices", at, SlotState.RAN, runs[-1].run_id),
            Slot("prices", later, SlotState.SKIPPED, runs[-1].run_id),
        ]
        await work.schedules.record(slots)
        await work.commit()
    reply = await live.get(f"/runs/{runs[-1].run_id}")
    held(reply.json, RunAnswer)
    assert [run["run_id"] for run in reply.json["resumed_runs"]] == [runs[1].run_id, runs[0].run_id]
    assert reply.json["slot"]["state"] == "ran"
    assert (await live.get("/runs/999999")).status == 404
    assert (await live.get("/runs/abc")).status == (await live.get("/runs/99999999999999999999")).status == 422


async def test_rejections_are_listed_and_filtered(live: Live, tmp_path: Any) -> None:
    """Refused items come with what they held; filters narrow by state, stage, code and source; pages by cursor."""
    write_prices(tmp_path, "a,1", ",5", "b,x", "c,y")
    await ran(live, "prices")
    reply = await live.get("/rejections")
    held(reply.json, RejectionsAnswer)
    assert len(reply.json["data"]) == 3
    notes = (await live.get("/rejections?stage=field&state=open&source=prices")).json["data"]
    assert len(notes) == 2
    assert (await live.get(f"/rejections?code={notes[0]['code']}")).json["pagination"]["returned"] == 2
    assert (await live.get("/rejections?state=dropped")).json["data"] == []
    first = (await live.get("/rejections?limit=2")).json
    rest = (await live.get(f"/rejections?limit=2&cursor={first['pagination']['next_cursor']}")).json
    assert [each["rejection_id"] for each in first["data"] + rest["data"]] == [
        each["rejection_id"] for each in reply.json["data"]
    ]


async def test_sources_never_show_a_secret(live: Live) -> None:
    """Whatever kind of auth, and wherever a secret stands in an address, parameter or header: no answer has it, and
    the names of what is hidden stay."""
    whole = await live.get("/sources")
    held(whole.json, SourcesAnswer)
    assert [each["source"] for each in whole.json["data"]] == sorted(live.service.settings.sources)
    assert SECRET.encode() not in whole.body
    for name in live.service.settings.sources:
        reply = await live.get(f"/sources/{name}")
        held(reply.json, SourceAnswer)
        assert SECRET.encode() not in reply.body
    bearer = (await live.get("/sources/bearer")).json["configuration"]
    assert bearer["auth"] == {"type": "bearer"}
    assert bearer["url"] == "https://api.example.com/items?token=***&page=***"
    assert (bearer["params"], bearer["headers"]) == ({"plain": "***"}, {"X-Plain": "***"})
    query = (await live.get("/sources/query")).json["configuration"]["auth"]
    assert query == {"type": "api_key", "query": "apikey"}
    for path in ("/openapi.json", "/health", "/stats", "/metrics", "/"):
        assert SECRET.encode() not in (await live.get(path)).body


async def test_a_source_tells_how_it_did(live: Live, tmp_path: Any) -> None:
    """Schedule, freshness, partitions with their positions, newest run and slots of one source."""
    write_prices(tmp_path, "a,1")
    run = await ran(live, "prices")
    at = live.service.clock.now().replace(microsecond=0)
    async with live.store.begin() as work:
        await work.schedules.add(ScheduleState("prices", "every 3600s", at, at))
        await work.schedules.record([Slot("prices", at, SlotState.MISSED, folded=3)])
        await work.commit()
    reply = (await live.get("/sources/prices")).json
    held(reply, SourceAnswer)
    assert reply["last_run"]["run_id"] == run.run_id
    assert reply["freshness"]["lag_seconds"] >= 0
    assert [(each["partition"], each["state"], each["checkpoint_version"]) for each in reply["partitions"]] == [
        ("", "ok", 1)
    ]
    assert reply["slots"][0]["folded"] == 3
    assert (reply["schedule"]["paused"], reply["schedule"]["spec"]) == (False, "every 3600s")
    unknown = await live.get("/sources/pricse")
    assert (unknown.status, '"prices"' in unknown.json["detail"]) == (404, True)


async def test_pausing_and_resuming(live: Live) -> None:
    """Pause keeps its first instant, resume takes it back, both answer with the state; without a schedule 409, an
    unknown source 404."""
    assert (await live.post("/sources/prices/pause")).status == 409
    at = live.service.clock.now()
    async with live.store.begin() as work:
        await work.schedules.add(ScheduleState("prices", "every 3600s", at, at))
        await work.commit()
    first = await live.post("/sources/prices/pause")
    held(first.json, ScheduleAnswer)
    again = await live.post("/sources/prices/pause")
    assert first.json["paused"]
    assert first.json["paused_at"] == again.json["paused_at"]
    async with live.store.begin(write=False) as work:
        assert not await work.schedules.due()
    resumed = await live.post("/sources/prices/resume")
    assert (resumed.json["paused"], resumed.json["paused_at"]) == (False, None)
    async with live.store.begin(write=False) as work:
        assert await work.schedules.due()
    assert (await live.post("/sources/pricse/pause")).status == 404
    assert (await live.get("/sources/prices/pause")).status == 405


async def test_drift_and_anomalies_are_lists(live: Live) -> None:
    """Both read their tables: empty lists so far, with filters that are checked."""
    for path in ("/drift", "/anomalies"):
        reply = await live.get(f"{path}?source=prices&run_id=1&limit=3")
        assert (reply.status, reply.json["data"], reply.json["pagination"]["limit"]) == (200, [], 3)
        assert (await live.get(f"{path}?run_id=0")).status == 422


async def test_answers_are_json_with_meta(live: Live) -> None:
    """Every JSON answer of these routes ends with `meta`, whose request id is the header's."""
    for path in ("/stats", "/runs", "/sources", "/rejections", "/drift", "/anomalies", "/health"):
        reply = await live.get(path)
        assert list(json.loads(reply.body))[-1] == "meta"
        assert reply.json["meta"]["request_id"] == reply.headers["X-Request-ID"]
    await settled(live)
