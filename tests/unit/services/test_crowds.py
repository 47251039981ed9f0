"""A name or symbol that a crowd bears binds nobody, and a batch costs no more for it."""

from __future__ import annotations

from random import Random

import pytest
from assets import coin, commit, from_nothing, groups, homes, market

from kasparro_adapters.memory import MemoryStore
from kasparro_core.identity import crowds
from kasparro_core.model.entity import AssetId

SEEDS = 40


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are a crowd."""
    monkeypatch.setattr(crowds, "CROWD", 2)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_crowds_grow_as_all_at_once(seed: int) -> None:
    """However assets come in, in batches of any size and order: in the end the same are one as if all came at once."""
    random, store = Random(seed), MemoryStore()
    coming = market(seed, ["a", "b", "c"], 20)
    random.shuffle(coming)
    while coming:
        source = coming[0].source
        batch = [each for each in coming if each.source == source][: random.randint(1, 6)]
        await commit(store, *batch)
        coming = [each for each in coming if each not in batch]
    assert await groups(store) == await from_nothing(store)
    async with store.begin(write=False) as work:
        assert await work.identity.crowds(), "a seed without a crowd shows nothing"


async def test_a_crowd_parts_what_its_symbol_joined() -> None:
    """What was linked by a symbol stands alone from the moment that the symbol tells nothing, under the same ids."""
    store = MemoryStore()
    await commit(store, coin("a", "1", "POOL", "Ether Pool One"))
    await commit(store, coin("b", "x", "POOL", "Ether Pool One"))
    assert len(await groups(store)) == 1
    await commit(store, *(coin("a", str(n), "POOL", "Ether Pool One") for n in range(2, 6)))
    found = await homes(store)
    assert len(set(found.values())) == 6
    assert found[AssetId("a", "1")] == "pool-ether-pool-one"


async def test_a_crowd_is_not_read_again() -> None:
    """Who comes to a crowd is decided on without the others."""
    store = MemoryStore()
    await commit(store, *(coin("a", str(n), "POOL", f"Pool {n}") for n in range(5)))
    async with store.begin() as work:
        assert set(await work.identity.crowds()) == {"s:asset:pool"}
        assert [each.claim.asset for each in await work.identity.closed([], ["s:asset:pool"])] == []
        near_to = await work.identity.closed([AssetId("a", "1")], [])
        assert [each.claim.asset for each in near_to] == [AssetId("a", "1")]


async def test_many_sources_of_one_coin_are_no_crowd() -> None:
    """It is the namesakes within one source that make one."""
    store = MemoryStore()
    for n in range(6):
        await commit(store, coin(f"s{n}", "btc", "BTC", "Bitcoin"))
    assert len(await groups(store)) == 1
