"""What may not be decided about entities, by HTTP, and what a decision reaches: the same on every database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from coins import coin_sources
from decided import MERGE, SPLIT, both_ran, decided, where
from live import Live

from kasparro_core.model import Scope


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough."""
    return sqlite_url


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """Two sources that share a coin and a symbol."""
    return {"sources": coin_sources(tmp_path)}


async def test_a_merge_of_entities_with_several_assets(live: Live) -> None:
    """All of both come together, although a source is in it twice then; the undoing takes all of it back at once."""
    await both_ran(live)
    before = await where(live)
    merged = decided(await live.post("/entities/merge?entity=gecko:solo&entity=btc-bitcoin&entity=paprika:foo-other"))
    together = {"gecko:bitcoin", "paprika:btc-bitcoin", "gecko:solo", "paprika:foo-other"}
    after = await where(live)
    assert len({after[name] for name in together}) == 1
    assert {name for name in after if after[name] == after["gecko:solo"]} == together
    decided(await live.post(f"/entities/rulings/{merged['rulings'][-1]['ruling_id']}/undo"))
    assert await where(live) == before


async def test_other_entities_are_told_apart(live: Live) -> None:
    """Two that are not one are said to differ; said twice it is refused; a later merge wins, and undone the former
    word holds again."""
    await both_ran(live)
    before = await where(live)
    apart = f"/entities/split?entity={before['gecko:foo-token']}&other={before['paprika:foo-other']}"
    decided(await live.post(apart))
    again = await live.post(apart)
    assert (again.status, again.json["detail"]) == (409, "That was said before, and holds.")
    merged = decided(await live.post(MERGE))
    assert (await where(live))["paprika:foo-other"] == before["gecko:foo-token"]
    decided(await live.post(f"/entities/rulings/{merged['ruling_id']}/undo"))
    assert await where(live) == before
    assert (await live.post(apart)).status == 409


async def test_what_cannot_be_decided(live: Live) -> None:
    """Nobody without a key of scope admin; nothing that is not there; nothing that is so already; not half a wish. Each
    refusal says what to do, and changes nothing."""
    await both_ran(live)
    before = await where(live)
    trigger = await live.add_key("trigger", Scope.TRIGGER)
    undo = "/entities/rulings/1/undo"
    for path in (MERGE, SPLIT, undo):
        assert (await live.ask("POST", path)).status == 401
        assert (await live.post(path, key=trigger)).status == 403
    for path, status, word in (
        ("/entities/merge?entity=btc-bitcoin&entity=none", 404, "'none'"),
        ("/entities/merge?entity=btc-bitcoin&entity=gecko:none", 404, "'gecko:none'"),
        ("/entities/merge?entity=btc-bitcoin&entity=paprika:btc-bitcoin", 409, "btc-bitcoin"),
        ("/entities/split?entity=btc-bitcoin&other=btc-bitcoin", 409, "SOURCE:ID"),
        ("/entities/split?entity=btc-bitcoin&other=gecko:bitcoin&other=paprika:btc-bitcoin", 409, "SOURCE:ID"),
        (undo, 404, "no ruling 1"),
        ("/entities/merge?entity=btc-bitcoin", 422, "2 to 50 names"),
        ("/entities/merge", 422, "2 to 50 names"),
        ("/entities/merge?entity=a&entity=", 422, "entity"),
        ("/entities/split?entity=btc-bitcoin", 422, "1 to 50 names"),
        ("/entities/rulings/x/undo", 422, "ruling_id"),
    ):
        reply = await live.post(path)
        assert (reply.status, word in reply.json["detail"]) == (status, True), (path, reply.body)
    merged = decided(await live.post(MERGE))
    path = f"/entities/rulings/{merged['ruling_id']}/undo"
    assert [(await live.post(path)).status for _ in range(2)] == [200, 409]
    assert await where(live) == before
