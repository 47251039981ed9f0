"""A name or symbol that a crowd bears binds nobody, and a batch costs no more for it."""

from __future__ import annotations

from random import Random

import pytest
from assets import coin, commit, from_nothing, groups, homes, market
from scripted import SteppingClock

from kasparro_adapters.memory import MemoryStore
from kasparro_core.identity import crowds
from kasparro_core.model.entity import AssetId, Crowd
from kasparro_core.services.afresh import decide_all

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
    await commit(store, coin("a", "5", "POOL", "Pool 5"))
    async with store.begin() as work:
        assert list(await work.identity.crowds()) == [Crowd("a", "s:asset:pool")]
        assert list(await work.identity.closed([], ["s:asset:pool"])) == []
        for n in (1, 5):
            (alone,) = await work.identity.closed([AssetId("a", str(n))], [])
            assert alone.claim.asset == AssetId("a", str(n))


async def test_other_sources_mean_what_they_meant() -> None:
    """Trades of Bitcoin under its symbol part no Bitcoin, before nor after they are a crowd, in any order."""
    bitcoins = [coin("b", "btc", "BTC", "Bitcoin"), coin("c", "bitcoin", "BTC", "Bitcoin")]
    trades = [coin("a", f"trade-{n}", "BTC", "Bitcoin") for n in range(6)]
    for coming in ([*bitcoins, *trades], [*trades, *bitcoins], [bitcoins[0], *trades, bitcoins[1]]):
        store = MemoryStore()
        for each in coming:
            await commit(store, each)
        found = await homes(store)
        assert found[AssetId("b", "btc")] == found[AssetId("c", "bitcoin")]
        assert len({found[AssetId("a", f"trade-{n}")] for n in range(6)}) == 6


async def test_a_crowd_that_went_away_is_found_out_by_deciding_anew() -> None:
    """What was a crowd stays one for the batches, and is none any more when everything is decided anew."""
    store = MemoryStore()
    await commit(store, *(coin("a", str(n), "POOL", "Ether Pool") for n in range(4)))
    await commit(store, *(coin("a", str(n), f"X{n}", f"Thing {n}") for n in range(1, 4)), at=1)
    await commit(store, coin("b", "x", "POOL", "Ether Pool"))
    assert await groups(store) != await from_nothing(store)
    assert (await decide_all(store, SteppingClock(), at_once=2)).assets == 5
    assert await groups(store) == await from_nothing(store)
    async with store.begin(write=False) as work:
        assert list(await work.identity.crowds()) == []


async def test_many_sources_of_one_coin_are_no_crowd() -> None:
    """It is the namesakes within one source that make one."""
    store = MemoryStore()
    for n in range(6):
        await commit(store, coin(f"s{n}", "btc", "BTC", "Bitcoin"))
    assert len(await groups(store)) == 1
