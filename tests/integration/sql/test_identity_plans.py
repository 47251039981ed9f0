"""How a decision goes about a store that knows many assets: by indexes, whatever the planner believes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from plans import plans_of

from kasparro_adapters.sql import SqlStore
from kasparro_core.model.entity import AssetId, Blocks, Decision
from kasparro_core.ports import UnitOfWork
from kasparro_core.testing.entities import known, write

MANY = 3_000
ASSETS = [AssetId("s", f"a{n}") for n in range(3)]
KEYS = ["i:s:a0", "n:asset:name-7", "s:asset:sym-2"]
WHOLE = re.compile(r"Seq Scan on entity_(?!r|crowds)\w+|SCAN entity_(?!crowds)\w+", re.MULTILINE)
READS: dict[str, Callable[[UnitOfWork], Awaitable[Any]]] = {
    "unlike": lambda work: work.identity.unlike("s", {asset.external_id: "h" for asset in ASSETS}),
    "closed": lambda work: work.identity.closed(ASSETS, KEYS),
    "crowds": lambda work: work.identity.crowds(),
    "near": lambda work: work.identity.near([("t", "l:asset:core-1"), ("t", "l:asset:core-2")], most=9),
    "entities": lambda work: work.identity.entities(["of-a1"], ASSETS),
    "known": lambda work: work.entities.known(after=ASSETS[0], limit=5),
    "claims": lambda work: work.entities.claims(ASSETS),
    "bearing": lambda work: work.mentions.bearing(KEYS),
}


@pytest.fixture
async def many(database_url: str) -> AsyncIterator[SqlStore]:
    """A database that knows many assets: SQLite without statistics, which it never gathers by itself."""
    store = SqlStore(database_url)
    assets = [AssetId("s", f"a{n}") for n in range(MANY)]
    blocks = {
        asset: Blocks([f"i:s:a{n}", f"n:asset:name-{n}", f"s:asset:sym-{n // 2}"], [f"l:asset:core-{n}"])
        for n, asset in enumerate(assets)
    }
    await write(store, Decision(known=[known(*asset, f"of-{asset.external_id}") for asset in assets], blocks=blocks))
    async with store.begin() as work:
        if work._session.dialect == "postgresql":  # type: ignore[attr-defined]
            await work._session.driver_sql("ANALYZE")  # type: ignore[attr-defined]
        await work.commit()
    yield store
    await store.close()


@pytest.mark.parametrize("read", list(READS))
async def test_a_decision_reads_no_whole_table(many: SqlStore, read: str) -> None:
    """What a batch costs does not grow with all that is known."""
    told = await plans_of(many, READS[read])
    assert told
    assert not [found for text in told for found in WHOLE.findall(text)], "\n".join(told)
