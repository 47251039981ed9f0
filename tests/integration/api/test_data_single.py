"""/data/{record_id} with its bytes and versions, by real HTTP."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from live import Live
from rows import AT, put, quotes

from kasparro_app.api.shapes.records import RecordAnswer, VersionsAnswer
from kasparro_core.model import BatchRead, Bound, Counters, Prunable, Record, Trigger
from kasparro_core.model.entity import Decision, Entity
from kasparro_core.model.mention import Mention
from kasparro_core.testing.entities import BITCOIN, known

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


async def test_the_entities_of_a_record(live: Live) -> None:
    """By the link of its id, or by its text; the tag changes with them, and what was merged is told as what it is."""
    await put(live.store, [*quotes(1), Record("s", "story", "article", title="Bitcoin")])
    rows = {row["key"]: row for row in (await live.get("/data")).json["data"]}
    quote = next(row for key, row in rows.items() if key != "story")
    paths = [f"/data/{each['record_id']}" for each in (quote, rows["story"])]
    before = [await live.get(path) for path in paths]
    assert [reply.json["entities"] for reply in before] == [[], []]
    merged = Entity("xbt", "asset", merged_into="btc-bitcoin")
    async with live.store.begin() as work:
        linked = [known(quote["source"], quote["external_id"], "btc-bitcoin")]
        await work.identity.save(Decision(made=[BITCOIN, merged], known=linked))
        await work.mentions.put(rows["story"]["source"], {"story": [Mention("xbt", "name", Decimal("0.9"))]})
        await work.commit()
    after = [
        await live.get(path, headers={"If-None-Match": b.headers["ETag"]})
        for path, b in zip(paths, before, strict=True)
    ]
    told = [[(each["entity_id"], each["method"]) for each in reply.json["entities"]] for reply in after]
    assert told == [[("btc-bitcoin", "own")], [("btc-bitcoin", "name")]]


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
