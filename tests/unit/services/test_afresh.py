"""Everything decided anew: as the rules are now, and as people said."""

from __future__ import annotations

import pytest
from assets import coin, commit, from_nothing, groups, homes, market
from scripted import SteppingClock

from kasparro_adapters.memory import MemoryStore
from kasparro_core.identity import pairs
from kasparro_core.model.entity import AssetId, Verdict
from kasparro_core.services.afresh import Afresh, decide_all
from kasparro_core.services.identify import rule
from kasparro_core.testing.build import later

A, B = AssetId("a", "bitcoin"), AssetId("b", "btc-bitcoin")
BITCOIN = (coin("a", "bitcoin", "BTC", "Bitcoin"), coin("b", "btc-bitcoin", "BTC", "Bitcoin"))


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """Assets of two sources, linked by earlier rules that knew nothing of names."""
    store = MemoryStore()
    with monkeypatch.context() as earlier:
        earlier.setattr(pairs, "judge", lambda *_: None)
        for record in (*BITCOIN, *market(3, ["a", "b"], 30)):
            await commit(store, record)
    assert await groups(store) != await from_nothing(store)
    return store


async def test_rules_that_changed_are_caught_up_with(store: MemoryStore) -> None:
    """In the end the links are those from nothing, the older entities keep their ids, and once more is nothing."""
    before = await homes(store)
    done = await decide_all(store, SteppingClock(), at_once=7)
    after = await homes(store)
    assert await groups(store) == await from_nothing(store)
    assert after[A] == after[B] == "btc-bitcoin" == before[A]
    assert done == Afresh(len(before), sum(before[asset] != after[asset] for asset in before))
    assert done.moved > 5
    assert await decide_all(store, SteppingClock()) == Afresh(len(before), 0)


async def test_what_people_said_holds(store: MemoryStore) -> None:
    """A ruling wins over rules, whichever they are."""
    async with store.begin() as work:
        await rule(work, Verdict.DIFFERENT, [(A, B)], later(1))
        await work.commit()
    await decide_all(store, SteppingClock(), at_once=50)
    after = await homes(store)
    assert after[A] != after[B]


async def test_nothing_known_is_nothing_done() -> None:
    """An empty store has nothing to decide on."""
    assert await decide_all(MemoryStore(), SteppingClock()) == Afresh()
