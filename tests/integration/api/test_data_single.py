"""/data/{record_id} with its bytes and versions, and /entities, by real HTTP."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from keeping import keep
from live import Live
from rows import AT, put, quotes

from kasparro_app.api.shapes.entities import EntitiesAnswer, EntityAnswer
from kasparro_app.api.shapes.records import RecordAnswer, VersionsAnswer
from kasparro_core.model import BatchRead, Bound, Counters, Prunable, Trigger
from kasparro_core.model.finding import Entity, EntityLink

MARKUP = b"\xef\xbb\xbf<script>alert(1)</script>\r\n\x00\xff"


async def only_id(live: Live) -> int:
    """The id of the one record."""
    (row,) = (await live.get("/data")).json["data"]
    return int(row["record_id"])


async def test_one_record(live: Live) -> None:
    """The record with meta and a tag; 304 until it changes."""
    await put(live.store, quotes(1))
    path = f"/data/{await only_id(live)}"
    reply = await live.get(path)
    RecordAnswer.model_validate_json(reply.body)
    tag = {"If-None-Match": reply.headers["ETag"]}
    assert (await live.get(path, headers=tag)).status == 304
    await put(live.store, quotes(2)[1:])
    assert (await live.get(path, headers=tag)).status == 304
    await put(live.store, quotes(1, title="new"), at=AT.replace(hour=12))
    changed = await live.get(path, headers=tag)
    assert (changed.status, changed.json["title"], changed.json["revision"]) == (200, "new", 2)


@pytest.mark.parametrize("path", ["", "/raw", "/versions"])
@pytest.mark.parametrize(("record_id", "status"), [("999", 404), ("0", 422), ("x", 422), (str(2**63), 422)])
async def test_no_such_record(live: Live, path: str, record_id: str, status: int) -> None:
    """An unknown id is 404; what is no id is 422."""
    assert (await live.get(f"/data/{record_id}{path}")).status == status


async def test_versions(live: Live) -> None:
    """Earlier states, the latest first, at most `limit`; a late one changes the tag too."""
    for hour in (10, 11, 12):
        await put(
            live.store, quotes(1, title=f"at {hour}", occurred_at=AT.replace(hour=hour)), at=AT.replace(hour=hour)
        )
    path = f"/data/{await only_id(live)}/versions"
    reply = await live.get(path)
    VersionsAnswer.model_validate_json(reply.body)
    assert [row["title"] for row in reply.json["data"]] == ["at 11", "at 10"]
    assert [row["title"] for row in (await live.get(f"{path}?limit=1")).json["data"]] == ["at 11"]
    tag = {"If-None-Match": reply.headers["ETag"]}
    assert (await live.get(path, headers=tag)).status == 304
    await put(live.store, quotes(1, title="late", occurred_at=AT.replace(hour=9)), at=AT.replace(hour=13))
    late = await live.get(path, headers=tag)
    assert [row["title"] for row in late.json["data"]] == ["at 11", "at 10", "late"]


@pytest.mark.parametrize(
    ("facts", "media"),
    [
        ({"format": "csv", "encoding": "utf-16-le"}, "text/csv; charset=utf-16-le"),
        ({"format": "csv", "encoding": "x\r\nEvil: 1"}, "text/csv"),
        ({"format": "feed", "content_type": "text/html"}, "application/xml"),
        ({"format": "made up"}, "application/octet-stream"),
    ],
)
async def test_the_exact_bytes(live: Live, facts: dict[str, str], media: str) -> None:
    """The payload comes byte by byte, by a type that the facts give, and as nothing that a browser would run."""
    raw_id = await put(live.store, quotes(2), payload=MARKUP, facts=facts)
    newest = (await live.get("/data")).json["data"][0]
    reply = await live.get(f"/data/{newest['record_id']}/raw")
    assert (reply.status, reply.body) == (200, MARKUP)
    headers = reply.headers
    assert headers["Content-Type"] == media
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert (headers["X-Raw-Id"], headers["X-Raw-Index"], headers["X-Source"]) == (str(raw_id), "1", "prices")
    assert headers["X-Observed-At"] == newest["updated_at"]
    assert headers["X-Raw-SHA256"] == hashlib.sha256(MARKUP).hexdigest()
    tag = {"If-None-Match": headers["ETag"]}
    assert (await live.get(f"/data/{newest['record_id']}/raw", headers=tag)).status == 304


async def test_json_as_it_came(live: Live) -> None:
    """A JSON payload keeps its blanks and digits."""
    payload = b'[{"price":  1.10},\n {"price": 1e2}]'
    await put(live.store, quotes(2), payload=payload)
    reply = await live.get(f"/data/{(await live.get('/data')).json['data'][0]['record_id']}/raw")
    assert (reply.headers["Content-Type"], reply.body) == ("application/json", payload)


async def test_bytes_that_were_never_kept(live: Live) -> None:
    """404 that says why."""
    await put(live.store, quotes(1))
    reply = await live.get(f"/data/{await only_id(live)}/raw")
    assert reply.status == 404
    assert 'raw = "none"' in reply.json["detail"]


async def test_bytes_that_were_pruned(live: Live) -> None:
    """410, and the record itself is still there."""
    raw_ids = [await put(live.store, quotes(1), payload=payload) for payload in (b"[{}]", b"[{} ]")]
    async with live.store.begin() as work:
        run = await work.runs.start("prices", Trigger.CLI, AT)
        for seq, raw_id in enumerate(raw_ids):
            read = BatchRead(run.run_id, "", seq, raw_id, None, 200, AT)
            await work.runs.record_read(read, counters=Counters())
        pruned = await work.retention.prune(Prunable.RAW, Bound(before=AT.replace(year=2027)))
        await work.commit()
    assert pruned.rows == 1
    path = f"/data/{await only_id(live)}"
    assert (await live.get(f"{path}/raw")).status == 410
    assert (await live.get(path)).status == 200


async def test_entities(live: Live) -> None:
    """A list by filters and pages; one entity with its links and each source's latest record."""
    await keep(
        live.store, [Entity(1, "coin", "BTC", "Bitcoin"), Entity(2, "coin", "ETH", "Ethereum"), Entity(3, "index")]
    )
    links = [("a", "0"), ("a", "1"), ("b", "0")]
    await keep(live.store, [EntityLink(source, key, 1, "symbol", Decimal("0.95")) for source, key in links])
    await put(live.store, quotes(3, "a"))
    await put(live.store, quotes(1, "b"))
    listed = await live.get("/entities?limit=2")
    EntitiesAnswer.model_validate_json(listed.body)
    assert [row["entity_id"] for row in listed.json["data"]] == [1, 2]
    link = listed.headers["Link"]
    assert [row["entity_id"] for row in (await live.get(link[1 : link.index(">")])).json["data"]] == [3]
    for query, expected in (("symbol=eth", [2]), ("q=BIT", [1]), ("kind=index", [3]), ("kind=x", [])):
        assert [row["entity_id"] for row in (await live.get(f"/entities?{query}")).json["data"]] == expected
    one = await live.get("/entities/1")
    EntityAnswer.model_validate_json(one.body)
    assert [(each["source"], each["external_id"]) for each in one.json["links"]] == links
    assert b'"confidence":0.95' in one.body
    assert [(row["source"], row["key"]) for row in one.json["records"]] == [("a", "1"), ("b", "0")]
    assert (await live.get("/entities/9")).status == 404
    assert (await live.get("/entities?cursor=x")).status == 422
