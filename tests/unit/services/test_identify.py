"""Assets of a batch are linked inside its unit of work, and the links are what all claims together come to."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from assets import all_known, bring, coin, commit, from_nothing, groups, homes, market

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import Observation, Record, RecordQuery
from kasparro_core.model.entity import AssetId, EntityQuery, Naming, Rulings
from kasparro_core.services.identify import identify
from kasparro_core.services.keeping import Sight, keep
from kasparro_core.services.prepare import Slice
from kasparro_core.testing.build import later, prepared

BITCOIN = [coin("a", "bitcoin", "BTC", "Bitcoin"), coin("b", "btc-bitcoin", "BTC", "Bitcoin")]
A, B = (AssetId(record.source, record.external_id or "") for record in BITCOIN)


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


async def test_two_sources_of_one_coin(store: MemoryStore) -> None:
    """The second one finds the entity of the first; a coin of the same symbol has its own."""
    await commit(store, BITCOIN[0])
    await commit(store, BITCOIN[1], coin("b", "x", "BTC", "Something Else Entirely"))
    assert await homes(store) == {A: "btc-bitcoin", B: "btc-bitcoin", AssetId("b", "x"): "btc-something-else-entirely"}


async def test_what_is_rolled_back_was_never_known(store: MemoryStore) -> None:
    """A unit of work that is not committed leaves no link, and the next one decides without it."""
    async with store.begin() as work:
        await bring(work, BITCOIN[:1])
    assert await homes(store) == {}
    await commit(store, BITCOIN[1])
    async with store.begin(write=False) as work:
        (entity,) = await work.entities.list(EntityQuery())
    assert (entity.founder, entity.age) == (B, 1)


async def test_an_earlier_state_says_nothing(store: MemoryStore) -> None:
    """A replay goes through old names, too: the claim that was seen last stays, and so does the link."""
    await commit(store, BITCOIN[0], at=2)
    await commit(store, coin("a", "bitcoin", "BTC", "Bitcoin Classic"), at=1)
    (known,) = await all_known(store)
    assert (known.claim.name, known.seen_at) == ("Bitcoin", later(2))
    await commit(store, coin("a", "bitcoin", "BTC", "Bit Coin"), at=2)
    (known,) = await all_known(store)
    assert (known.claim.name, known.link.entity_id) == ("Bit Coin", "btc-bitcoin")


async def test_a_link_that_stays_keeps_its_instant(store: MemoryStore) -> None:
    """What comes to an entity later changes nothing about when the others were linked."""
    await commit(store, *BITCOIN[:1], at=1)
    await commit(store, BITCOIN[1], at=2)
    await commit(store, coin("c", "1", "BTC", "Bitcoin"), at=3)
    known = {each.claim.asset: each.link for each in await all_known(store)}
    assert known[B].decided_at == later(2)
    assert known[AssetId("c", "1")].decided_at == later(3)


async def test_what_names_nothing_is_left_alone(store: MemoryStore) -> None:
    """No external_id, an article, an id that no index takes: no claim, no entity, no fault."""
    odd = [
        Record("a", "1", "quote", symbol="BTC"),
        Record("a", "2", "article", external_id="2"),
        coin("a", "x" * 501, "X", "X"),
    ]
    await commit(store, *odd)
    assert await homes(store) == {}


async def test_a_series_of_one_asset_is_one_claim(store: MemoryStore) -> None:
    """Thousands of candles of one asset make one link, and the next thousands cost one look-up."""
    candles = [prepared(Record("a", str(n), "candle", "btc", "Bitcoin", "BTC")) for n in range(2_000)]
    async with store.begin() as work:
        await identify(work, candles, Observation("a", 1, None, later(0)))
        asked = _Counted(work.identity)
        work.identity = asked  # type: ignore[assignment]
        await identify(work, candles, Observation("a", 1, None, later(1)))
        await work.commit()
    assert asked.calls == ["unlike"]
    assert await homes(store) == {AssetId("a", "btc"): "btc-bitcoin"}


@pytest.mark.parametrize("identity", [True, False])
async def test_a_batch_is_linked_where_that_is_wanted(store: MemoryStore, identity: bool) -> None:
    """Inside the unit of work of its records, and not at all where it is switched off."""
    part = Slice(0, 1, [prepared(BITCOIN[0])], (), ())
    async with store.begin() as work:
        sight = Sight("", Observation("a", 1, None, later(0)), 1, identity=identity)
        await keep(work, part, sight, careful=False)
        await work.commit()
    async with store.begin(write=False) as work:
        assert await work.records.count(RecordQuery(entity="btc-bitcoin")) == int(identity)


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    """Whatever comes first, in batches of whatever size, twice or once: the groups are those of all claims together."""
    records, found = market(seed, ["a", "b", "c"], 30), []
    for shuffle in range(3):
        store, random = MemoryStore(), Random(shuffle)
        batches = _batches(records, random)
        for batch in [*batches, *batches[: len(batches) // 2]]:
            await commit(store, *batch)
        assert await groups(store) == await from_nothing(store)
        found.append(await groups(store))
    assert found[0] == found[1] == found[2]
    assert any(len(group) > 1 for group in found[0])


@pytest.mark.parametrize("seed", range(4))
async def test_claims_that_change_leave_no_trace(seed: int) -> None:
    """Names and symbols that change, again and again: the groups are those of the last claims alone, every asset has
    one entity that stands, and redirects are flat."""
    store, random = MemoryStore(), Random(seed)
    for at in range(5):
        for batch in _batches(market(seed * 10 + at, ["a", "b"], 20), random):
            await commit(store, *batch, at=at)
    assert await groups(store) == await from_nothing(store)
    async with store.begin(write=False) as work:
        listed = {each.entity_id: each for each in await work.entities.list(EntityQuery(limit=10_000))}
        for entity in listed.values():
            linked = await work.entities.links(entity.entity_id)
            assert bool(linked) == (entity.merged_into is None), entity
            assert entity.merged_into is None or listed[entity.merged_into].merged_into is None


async def test_a_long_mapping_file_is_gone_through_a_few_times_a_decision(store: MemoryStore) -> None:
    """And not for each asset: a file of thousands of lines would keep its database waiting."""
    records = [coin("a", str(n), f"S{n}", f"Thing {n}") for n in range(50)]
    await commit(store, *records)
    namings = _Counting(Naming(AssetId("a", str(n)), f"named-{n}") for n in range(50))
    async with store.begin() as work:
        work.identity = _Said(work.identity, Rulings((), namings))  # type: ignore[assignment]
        await identify(work, [prepared(record._replace(title="New")) for record in records], _SEEN)
    assert 0 < namings.times < 20


def _batches(records: list[Record], random: Random) -> list[list[Record]]:
    """The records of each source in batches, all in some order."""
    given = random.sample(records, len(records))
    found = []
    for source in sorted({record.source for record in given}):
        rows = [record for record in given if record.source == source]
        while rows:
            size = random.randint(1, 9)
            found.append(rows[:size])
            rows = rows[size:]
    random.shuffle(found)
    return found


_SEEN = Observation("a", 1, None, later(1))


class _Counting(list[Naming]):
    """Notes how often it is gone through."""

    times = 0

    def __iter__(self) -> Iterator[Naming]:
        self.times += 1
        return super().__iter__()


class _Said:
    """People said this, whoever asks."""

    def __init__(self, inner: object, rulings: Rulings) -> None:
        self._inner = inner
        self._rulings = rulings

    async def said(self, _assets: object, /) -> Rulings:
        return self._rulings

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class _Counted:
    """Notes which methods are called."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.calls.append(name)
        return getattr(self._inner, name)
