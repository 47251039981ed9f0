"""What people decide about entities, by HTTP: it holds whatever comes in later, and can be taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from coins import GECKO, PAPRIKA, coin_sources, write_coins
from decided import MERGE, SPLIT, both_ran, decided, replayed, told, where
from live import Live
from shop import ran


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """Two sources that share a coin and a symbol."""
    return {"sources": coin_sources(tmp_path)}


async def test_a_merge_holds_until_it_is_undone(live: Live, tmp_path: Path) -> None:
    """Two entities become one, whose older id stays and whose other one redirects; new claims and a replay change
    nothing of it. Undone, both are there again by their old ids."""
    await both_ran(live)
    before = await where(live)
    foo, other = before["gecko:foo-token"], before["paprika:foo-other"]
    assert foo != other
    merged = decided(await live.post(MERGE))
    assert (merged["what"], [whole["entity_id"] for whole in merged["entities"]]) == ("entities.merged", [foo])
    assert {link["method"] for link in merged["entities"][0]["links"]} == {"hand"}
    after = {**before, "paprika:foo-other": foo}
    assert await where(live) == after
    moved = await live.get(f"/entities/{other}")
    assert (moved.status, moved.headers["Location"]) == (308, f"/entities/{foo}")
    for entity in (foo, other):
        rows = (await live.get(f"/data?entity={entity}")).json["data"]
        assert sorted(row["key"] for row in rows) == ["foo-other", "foo-token"]

    write_coins(tmp_path, "paprika", PAPRIKA[0], "foo-other,FOO,Yet Another Name,8")
    await ran(live, "paprika")
    await replayed(live, "gecko")
    assert await where(live) == after
    undone = decided(await live.post(f"/entities/rulings/{merged['ruling_id']}/undo"))
    assert (undone["what"], len(undone["entities"])) == ("entities.undone", 2)
    assert await where(live) == before
    assert (await live.get(f"/entities/{other}")).status == 200
    assert await told(live) == ["entities.merged", "entities.undone"]


async def test_a_split_holds_until_it_is_undone(live: Live, tmp_path: Path) -> None:
    """What names and symbols call one is two from now on, with the id where the entity began; undone, it is one."""
    await both_ran(live)
    before = await where(live)
    assert before["gecko:bitcoin"] == before["paprika:btc-bitcoin"] == "btc-bitcoin"
    split = decided(await live.post(SPLIT))
    after = await where(live)
    assert after["gecko:bitcoin"] == "btc-bitcoin"
    assert after["paprika:btc-bitcoin"] == next(
        w["entity_id"] for w in split["entities"] if w["entity_id"] != "btc-bitcoin"
    )
    assert {name for name in before if before[name] != after[name]} == {"paprika:btc-bitcoin"}

    write_coins(tmp_path, "gecko", "bitcoin,BTC,bitcoin,100", *GECKO[1:])
    write_coins(tmp_path, "paprika", "btc-bitcoin,BTC,BITCOIN,101", PAPRIKA[1])
    await both_ran(live)
    await replayed(live, "paprika")
    assert await where(live) == after
    decided(await live.post(f"/entities/rulings/{split['ruling_id']}/undo"))
    assert await where(live) == before
    assert [row["undone_at"] is None for row in (await live.get("/entities/rulings?undone=true")).json["data"]] == [
        False
    ]


async def test_decisions_beside_each_other_and_beside_runs(live: Live, tmp_path: Path) -> None:
    """Merges of the same and of overlapping entities at once, while both sources bring in other names: each is made or
    refused for being made already, nobody waits for ever, and in the end all of them hold."""
    await both_ran(live)
    before = await where(live)
    for source, rows in (("gecko", GECKO), ("paprika", PAPRIKA)):
        write_coins(tmp_path, source, *(f"{row.rpartition(',')[0]} Again,9" for row in rows))
    pair, other = MERGE, "/entities/merge?entity=gecko:solo&entity=gecko:foo-token"
    runs = (ran(live, "gecko"), ran(live, "paprika"))
    *_, one, two, three = await asyncio.gather(*runs, live.post(pair), live.post(pair), live.post(other))
    assert sorted(reply.status for reply in (one, two)) == [200, 409]
    assert three.status == 200
    after = await where(live)
    assert len({after[name] for name in ("gecko:foo-token", "gecko:solo", "paprika:foo-other")}) == 1
    for reply in (one, two, three):
        if reply.status == 200:
            decided(await live.post(f"/entities/rulings/{reply.json['ruling_id']}/undo"))
    assert {name: entity for name, entity in (await where(live)).items() if "foo" in name or "solo" in name} == {
        name: entity for name, entity in before.items() if "foo" in name or "solo" in name
    }
