"""What stands out, by HTTP: listed, shown, acknowledged, muted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from live import Live
from shop import csv_source, held

from kasparro_app.api.shapes.anomalies import AnomaliesAnswer, AnomalyAnswer, MuteAnswer, MutesAnswer
from kasparro_core.model import Anomaly, AnomalyScope, Scope
from kasparro_core.services.alarms import tell
from kasparro_core.testing.anomalies import anomaly, standing
from kasparro_core.testing.build import begin_run, later

SENTENCE = "It fetched 1180591620717411303424 items, where at most 7 were expected."


@pytest.fixture
def document() -> dict[str, Any]:
    """Two sources."""
    return {"sources": {"s": csv_source(), "quiet": csv_source()}}


async def found(live: Live, *findings: Anomaly) -> list[int]:
    """Tell findings as the end of a run does; their ids."""
    async with live.store.begin() as work:
        run = await begin_run(work, "s")
        events = await tell(work, findings, run, later(1))
        for event in events:
            await work.events.append(event)
        await work.commit()
    return [event.data["anomaly_id"] for event in events]


async def state_of(live: Live, anomaly_id: int) -> str:
    """What has become of a finding."""
    return str((await live.get(f"/anomalies/{anomaly_id}")).json["state"])


async def test_lists_and_shows_findings(live: Live) -> None:
    """With the sentence and the exact numbers behind it; a bound that there is not is null."""
    (ids) = await found(live, anomaly(), standing(expected_low=None))
    page = await live.get("/anomalies")
    held(page.json, AnomaliesAnswer)
    assert [row["anomaly_id"] for row in page.json["data"]] == ids[::-1]
    one = await live.get(f"/anomalies/{ids[0]}")
    held(one.json, AnomalyAnswer)
    assert one.json["explanation"] == SENTENCE
    assert b'"found":1180591620717411303424,' in one.body
    assert b'"expected_low":-0.1000000000000000055511151231257827,' in one.body
    assert one.json["evidence"]["grüße"] == ["ä", None, {"x": 1.5}]
    second = (await live.get(f"/anomalies/{ids[1]}")).json
    assert (second["expected_low"], second["expected_high"], second["subject"]) == (None, 7, "bitcoin")
    missing = await live.get("/anomalies/999")
    assert (missing.status, missing.json["detail"]) == (
        404, "There is no finding 999. GET /anomalies lists those there are."
    )  # fmt: skip


async def test_filters_and_pages(live: Live) -> None:
    """Each filter narrows; a cursor goes on where the page ended, for the same filters alone."""
    source = anomaly("lag", scope=AnomalyScope.SOURCE)
    ids = await found(live, anomaly(), anomaly("bytes", run_id=2), standing(), source, anomaly(source="quiet"))
    await live.post(f"/anomalies/{ids[0]}/acknowledge")
    for filters, wanted in (
        ("source=quiet", [ids[4]]),
        ("run_id=2", [ids[1]]),
        ("state=acknowledged", [ids[0]]),
        ("state=open&source=s", [ids[3], ids[2], ids[1]]),
        ("scope=record", [ids[2]]),
        ("metric=lag", [ids[3]]),
        ("metric=none", []),
    ):
        rows = (await live.get(f"/anomalies?{filters}")).json["data"]
        assert [row["anomaly_id"] for row in rows] == wanted, filters
    first = (await live.get("/anomalies?limit=2&source=s")).json
    cursor = first["pagination"]["next_cursor"]
    second = (await live.get(f"/anomalies?limit=2&source=s&cursor={cursor}")).json
    assert [row["anomaly_id"] for page in (first, second) for row in page["data"]] == ids[3::-1]
    assert second["pagination"]["next_cursor"] is None
    assert (await live.get(f"/anomalies?limit=2&cursor={cursor}")).status == 422
    assert (await live.get("/anomalies?state=closed")).status == 422
    assert (await live.get("/anomalies?scope=entity")).status == 422


async def test_a_person_acknowledges(live: Live) -> None:
    """Under the name of the key, with a note; again changes nothing; what is resolved is 409, what is not there 404."""
    (first, second) = await found(live, anomaly(), standing())
    key = await live.add_key("ops", Scope.TRIGGER)
    reply = await live.ask("POST", f"/anomalies/{first}/acknowledge?note=a%20holiday", key=key)
    held(reply.json, AnomalyAnswer)
    assert [reply.json[name] for name in ("state", "closed_by", "note")] == ["acknowledged", "ops", "a holiday"]
    again = await live.post(f"/anomalies/{first}/acknowledge?note=other")
    assert (again.status, again.json["note"], again.json["closed_at"]) == (200, "a holiday", reply.json["closed_at"])
    async with live.store.begin() as work:
        run = await begin_run(work, "s")
        await tell(work, [], run, later(2), looked=lambda _metric, _subject: True)
        await work.commit()
    assert await state_of(live, second) == "resolved"
    over = await live.post(f"/anomalies/{second}/acknowledge")
    assert (over.status, over.json["title"]) == (409, "Resolved")
    assert await state_of(live, second) == "resolved"
    assert (await live.post("/anomalies/999/acknowledge")).status == 404


async def test_only_some_keys_may(live: Live) -> None:
    """No key is 401, one that reads 403; nothing was done."""
    await found(live, standing())
    reader = await live.add_key("reader", Scope.READ)
    for path in ("/anomalies/1/acknowledge", "/anomalies/mutes?source=s", "/anomalies/mutes/1/remove"):
        assert (await live.ask("POST", path)).status == 401
        assert (await live.ask("POST", path, key=reader)).status == 403
    assert await state_of(live, 1) == "open"
    assert (await live.get("/anomalies/mutes")).json["data"] == []


async def test_mutes_come_and_go(live: Live) -> None:
    """What a mute covers becomes muted and is not told; without it, it is told when it is seen again."""
    (known, other) = await found(live, standing(), standing("ether", metric="spread"))
    made = await live.post("/anomalies/mutes?source=s&metric=spread&reason=an%20exchange%20is%20down")
    held(made.json, MuteAnswer)
    assert [made.json[name] for name in ("metric", "subject", "until", "in_effect")] == ["spread", "", None, True]
    assert (await state_of(live, known), await state_of(live, other)) == ("open", "muted")
    seen = [standing(each, metric="spread", second=2) for each in ("ether", "solana")]
    assert await found(live, *seen) == []
    listed = await live.get("/anomalies/mutes")
    held(listed.json, MutesAnswer)
    assert [row["mute_id"] for row in listed.json["data"]] == [made.json["mute_id"]]
    assert (await live.get("/anomalies/mutes?source=quiet")).json["data"] == []
    gone = await live.post(f"/anomalies/mutes/{made.json['mute_id']}/remove")
    held(gone.json, MuteAnswer)
    assert gone.json["in_effect"] is False
    assert (await live.post(f"/anomalies/mutes/{made.json['mute_id']}/remove")).status == 404
    assert await found(live, standing("ether", metric="spread", second=3)) == [other]
    assert await state_of(live, other) == "open"


async def test_a_mute_names_a_metric_that_findings_have(live: Live) -> None:
    """Any of runs and of records; another one is 422 with all there are and a near name, and nothing is muted."""
    for metric, near in (("bogus", ""), ("fetchd", 'did you mean "fetched"?'), ("null_rate:price", '"null_rate"')):
        refused = await live.post(f"/anomalies/mutes?source=s&metric={metric}")
        assert (refused.status, refused.json["errors"][0]["parameter"]) == (422, "metric")
        assert "lag, latency_p95, null_rate, record_backwards" in refused.json["detail"]
        assert near in refused.json["detail"]
    assert (await live.get("/anomalies/mutes")).json["data"] == []
    for metric in ("failed", "null_rate", "record_silent", "spread", ""):
        assert (await live.post(f"/anomalies/mutes?source=s&metric={metric}")).status == 200


async def test_a_mute_names_a_source_and_an_instant_to_come(live: Live) -> None:
    """An unknown source is 404 with a near name, a past end 422, no source 422; a day is its first instant."""
    unknown = await live.post("/anomalies/mutes?source=quite")
    assert (unknown.status, '"quiet"' in unknown.json["detail"]) == (404, True)
    past = await live.post("/anomalies/mutes?source=s&until=2020-01-01")
    assert (past.status, past.json["errors"][0]["parameter"]) == (422, "until")
    assert (await live.post("/anomalies/mutes")).status == 422
    made = await live.post("/anomalies/mutes?source=s&subject=bitcoin&until=2999-01-31")
    assert datetime.fromisoformat(made.json["until"]) == datetime(2999, 1, 31, tzinfo=UTC)
    assert await found(live, standing()) == []


async def test_findings_are_in_the_figures_of_the_service(live: Live) -> None:
    """`/metrics` counts what was told by source and figure, `/sources` what is open, `/events` tells it, and the status
    page shows the sentence."""
    (first, _) = await found(live, anomaly(), standing(explanation="<b>dear</b>"))
    await found(live, standing("ether"))
    text = (await live.get("/metrics")).body.decode()
    assert 'etl_anomalies_total{metric="fetched",source="s"} 1.0' in text
    assert 'etl_anomalies_total{metric="value",source="s"} 2.0' in text
    assert 'etl_anomalies_open{source="s"} 3.0' in text
    await live.post(f"/anomalies/{first}/acknowledge")
    assert 'etl_anomalies_open{source="s"} 2.0' in (await live.get("/metrics")).body.decode()
    sources = {row["source"]: row["open_anomalies"] for row in (await live.get("/sources")).json["data"]}
    assert sources == {"s": 2, "quiet": 0}
    assert (await live.get("/sources/s")).json["open_anomalies"] == 2
    page = (await live.get("/")).body.decode()
    assert "&lt;b&gt;dear&lt;/b&gt;" in page
    assert 'href="anomalies/2"' in page
    assert 'href="anomalies/1"' not in page
    async with live.store.begin(write=False) as work:
        told = [event for event in await work.events.after(0) if event.type == "anomaly"]
    assert [event.data["explanation"] for event in told] == [SENTENCE, "<b>dear</b>", SENTENCE]
