"""/entities: lists, one entity side by side, redirects, and records by entity."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from live import Live, Reply
from rows import put, quotes

from kasparro_app.api.shapes.entities import CandidatesAnswer, EntitiesAnswer, EntityAnswer, MergedAnswer, RulingsAnswer
from kasparro_core.model import Record
from kasparro_core.model.entity import AssetId, Decision, Entity, Verdict
from kasparro_core.testing.entities import candidate, link, write

BITCOIN = Entity("btc-bitcoin", "asset", "BTC", "Bitcoin", founder=AssetId("a", "0"))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is asked of the stores here has a contract; the databases differ in nothing else."""
    return sqlite_url


def ids(reply: Reply) -> list[str]:
    """The entities of a page."""
    return [row["entity_id"] for row in reply.json["data"]]


def quote(live: Live, source: str, key: str, value: str, *, minutes_ago: float = 0, **fields: Any) -> Record:
    """A quote of about now."""
    at = live.service.clock.now() - timedelta(minutes=minutes_ago)
    given = {"title": "Bitcoin", "symbol": "BTC", "currency": "USD", **fields}
    return Record(source, key, "quote", external_id=key, value=Decimal(value), occurred_at=at, **given)


async def test_lists_by_filters_and_pages(live: Live) -> None:
    """In ascending entity_id, page by page; merged ones only when asked for; a cursor holds for its filters alone."""
    made = [
        BITCOIN,
        Entity("eth-ethereum", "asset", "ETH", "Ethereum"),
        Entity("index", "index"),
        Entity("old", "asset", name="Old Bitcoin", merged_into="btc-bitcoin"),
    ]
    await write(live.store, Decision(made=made))
    first = await live.get("/entities?limit=2")
    EntitiesAnswer.model_validate_json(first.body)
    assert ids(first) == ["btc-bitcoin", "eth-ethereum"]
    following = first.headers["Link"]
    assert ids(await live.get(following[1 : following.index(">")])) == ["index"]
    for query, expected in (
        ("symbol=eth", ["eth-ethereum"]),
        ("q=BIT", ["btc-bitcoin"]),
        ("q=BTC-b", ["btc-bitcoin"]),
        ("q=BIT&merged=true", ["btc-bitcoin", "old"]),
        ("kind=index", ["index"]),
        ("kind=x", []),
    ):
        assert ids(await live.get(f"/entities?{query}")) == expected, query
    cursor = first.json["pagination"]["next_cursor"]
    for query in ("cursor=x", f"cursor={cursor}&kind=asset", f"cursor={cursor}&merged=true", "merged=1"):
        assert (await live.get(f"/entities?{query}")).status == 422, query


async def test_one_entity_side_by_side(live: Live) -> None:
    """Its links with what speaks for them, the latest record of every source, the exact spread of those that are
    fresh, and what is stale with by how much."""
    assets = [("a", "0"), ("a", "1"), ("b", "0"), ("c", "x"), ("silent", "0")]
    await link(live.store, BITCOIN, *assets)
    await put(
        live.store, [quote(live, "a", "0", "99", minutes_ago=30), quote(live, "a", "1", "100.10000000000000000001")]
    )
    await put(live.store, [quote(live, "b", "0", "104.1", minutes_ago=5, title="BITCOIN")])
    await put(live.store, [quote(live, "c", "x", "50", minutes_ago=90)])
    reply = await live.get("/entities/btc-bitcoin")
    assert reply.status == 200
    EntityAnswer.model_validate_json(reply.body)
    assert [(each["source"], each["external_id"]) for each in reply.json["links"]] == assets
    assert [(side["source"], side["record"]["key"], side["left_out"]) for side in reply.json["sources"]] == [
        ("a", "1", None),
        ("b", "0", None),
        ("c", "x", "stale"),
    ]
    agreed = reply.json["agreement"]
    (price,) = agreed["prices"]
    assert (price["currency"], price["sources"], price["low_source"], price["high_source"]) == (
        "USD",
        ["a", "b"],
        "a",
        "b",
    )
    assert b'"spread":3.99999999999999999999,' in reply.body
    assert [field["field"] for field in agreed["fields"] if field["agree"]] == ["name", "symbol"]
    assert agreed["disagree"] == ["price"]
    (stale,) = agreed["left_out"]
    assert (stale["source"], round(stale["behind_seconds"] / 60)) == ("c", 90)
    texts = (await live.get("/entities/btc-bitcoin?decimals=string")).json
    assert texts["agreement"]["prices"][0]["spread"] == "3.99999999999999999999"
    assert texts["links"][0]["confidence"] == "1"


async def test_an_entity_without_records(live: Live) -> None:
    """What was linked once and has no record any more is shown with its links alone."""
    await link(live.store, BITCOIN, ("a", "0"))
    reply = await live.get("/entities/btc-bitcoin")
    EntityAnswer.model_validate_json(reply.body)
    assert (reply.json["sources"], reply.json["agreement"]["as_of"]) == ([], None)


async def test_a_merged_entity_redirects(live: Live) -> None:
    """Its id leads to the one that it was merged into, with what was asked, and nobody is to keep that; its records are
    found by either id; an id that never was is 404, and an empty page of /data."""
    await link(live.store, replace(BITCOIN, entity_id="btc bitcoin/ü"), ("a", "0"))
    await link(live.store, Entity("old", "asset", merged_into="btc bitcoin/ü"))
    await put(live.store, quotes(3, "a"))
    reply = await live.get("/entities/old?decimals=string")
    MergedAnswer.model_validate_json(reply.body)
    assert (reply.status, reply.headers["Cache-Control"]) == (308, "no-cache")
    assert reply.headers["Location"] == "/entities/btc%20bitcoin%2F%C3%BC?decimals=string"
    assert reply.json["merged_into"] == "btc bitcoin/ü"
    for entity in ("old", "btc%20bitcoin%2F%C3%BC"):
        assert [row["key"] for row in (await live.get(f"/data?entity={entity}")).json["data"]] == ["0"]
    assert (await live.get("/data?entity=never")).json["data"] == []
    assert (await live.get("/entities/never")).status == 404


async def test_candidates_page_by_page(live: Live) -> None:
    """The surest first, each with what its sources call it and where it stands; those of one entity when asked for."""
    pairs = [candidate(1, "0.9"), candidate(2, "0.91"), candidate(3, "0.2")]
    await write(live.store, Decision(decided=[pair.a for pair in pairs], candidates=pairs))
    await link(live.store, BITCOIN, ("b", "3"))
    shown: list[tuple[str, Any]] = []
    path = "/entities/candidates?limit=1"
    while path:
        reply = await live.get(path)
        CandidatesAnswer.model_validate_json(reply.body)
        shown += [(row["b"]["external_id"], row["b"]["entity_id"]) for row in reply.json["data"]]
        following = reply.headers.get("Link", "")
        path = following[1 : following.index(">")] if following else ""
    assert shown == [("2", None), ("1", None), ("3", "btc-bitcoin")]
    await link(live.store, replace(BITCOIN, entity_id="old", merged_into="btc-bitcoin"))
    assert (await live.get("/entities/candidates?entity=none")).json["data"] == []
    (same,) = (await live.get("/entities/candidates?entity=old")).json["data"]
    (only,) = (await live.get("/entities/candidates?entity=btc-bitcoin")).json["data"]
    assert only == same
    assert (only["reason"], only["a"]["external_id"], only["evidence"]) == (
        "near name",
        "é3",
        {"names": ["x", None], "score": 0.1},
    )
    assert (await live.get("/entities/candidates?cursor=x")).status == 422


async def test_rulings_page_by_page(live: Live) -> None:
    """The newest first; what was taken back only when asked for."""
    pair = [(AssetId("a", "1"), AssetId("b", "1"))]
    at = live.service.clock.now()
    async with live.store.begin() as work:
        [first] = await work.identity.rule(Verdict.SAME, pair, at)
        [second] = await work.identity.rule(Verdict.DIFFERENT, pair, at)
        [third] = await work.identity.rule(Verdict.DIFFERENT, pair, at)
        await work.identity.undo(second.ruling_id, at)
        await work.commit()
    reply = await live.get("/entities/rulings?limit=1")
    RulingsAnswer.model_validate_json(reply.body)
    assert [row["ruling_id"] for row in reply.json["data"]] == [third.ruling_id]
    following = reply.headers["Link"]
    rest = await live.get(following[1 : following.index(">")])
    assert [(row["ruling_id"], row["verdict"]) for row in rest.json["data"]] == [(first.ruling_id, "same")]
    undone = (await live.get("/entities/rulings?undone=true")).json["data"]
    assert [row["undone_at"] is not None for row in undone] == [False, True, False]
