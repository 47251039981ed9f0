"""Decisions by hand: they hold against whatever comes in later, and taken back they leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import SteppingClock
from shelf import Mortal, Unheard

from kasparro_adapters.memory import MemoryStore
from kasparro_core.errors import ConflictError, TransientStorageError
from kasparro_core.model import Observation, Record
from kasparro_core.model.entity import AssetId, EntityQuery, Naming
from kasparro_core.ports import Store
from kasparro_core.services.by_hand import ByHand, UnknownRulingError
from kasparro_core.services.identify import identify
from kasparro_core.services.namings import settle_namings
from kasparro_core.services.wholes import UnknownEntityError
from kasparro_core.testing.build import later, prepared

COINS = {
    ("a", "bitcoin"): ("BTC", "Bitcoin"),
    ("a", "foo"): ("FOO", "Foo"),
    ("a", "solo"): ("SOLO", "Solo Coin"),
    ("b", "btc-bitcoin"): ("BTC", "Bitcoin"),
    ("b", "foo-other"): ("FOO", "Something Else"),
    ("c", "1"): ("BTC", "Bitcoin"),
}
NAMES = [f"{source}:{external_id}" for source, external_id in COINS]
PAIR = ["a:foo", "b:foo-other"]


class World:
    """A store that knows the coins, and a person at it."""

    def __init__(self, store: Store | None = None) -> None:
        self.store, self.clock = store or MemoryStore(), SteppingClock()
        self.by_hand = ByHand(self.store, self.clock)
        self.second = 0

    async def bring_in(self, **titles: str) -> None:
        """Claims of all coins, of some sources with other names."""
        self.second += 1
        for source in ("a", "b", "c"):
            records = [
                prepared(Record(source, key, "quote", external_id=key, symbol=symbol, title=titles.get(source, name)))
                for (of, key), (symbol, name) in COINS.items()
                if of == source
            ]
            async with self.store.begin() as work:
                await identify(work, records, Observation(source, 1, None, later(self.second)))
                await work.commit()

    async def groups(self) -> dict[str, set[str]]:
        """The entities that stand, with their assets."""
        async with self.store.begin(write=False) as work:
            listed = await work.entities.list(EntityQuery(merged=False))
            linked = {each.entity_id: await work.entities.links(each.entity_id) for each in listed}
        return {
            name: {f"{link.source}:{link.external_id}" for link in links} for name, links in linked.items() if links
        }

    async def home(self, name: str) -> str:
        """The entity of an asset."""
        return next(entity for entity, assets in (await self.groups()).items() if name in assets)

    async def events(self) -> list[str]:
        """What listeners were told."""
        async with self.store.begin(write=False) as work:
            return [str(event.type) for event in await work.events.after(0)]


async def test_what_is_said_later_wins() -> None:
    """A split goes before the merge before it, and the other way round; each undone, the earlier word holds again."""
    world = World()
    await world.bring_in()
    before = await world.groups()
    merged = await world.by_hand.merge(PAIR)
    apart = await world.by_hand.split(*PAIR[:1], PAIR[1:])
    assert await world.groups() == before
    again = await world.by_hand.merge(PAIR)
    assert await world.home(PAIR[0]) == await world.home(PAIR[1])
    await world.by_hand.undo(again.act)
    assert await world.groups() == before
    await world.by_hand.undo(apart.act)
    assert await world.home(PAIR[0]) == await world.home(PAIR[1])
    await world.by_hand.undo(merged.act)
    assert await world.groups() == before


async def test_the_mapping_file_goes_before_a_person() -> None:
    """What it names one cannot be split, what it names two cannot be merged: refused, and nothing of it is kept."""
    world = World()
    await world.bring_in()
    one, other = AssetId("a", "foo"), AssetId("b", "foo-other")
    await settle_namings(world.store, world.clock, [Naming(one, "foo"), Naming(other, "foo")])
    with pytest.raises(ConflictError, match="mapping file says that they are one"):
        await world.by_hand.split("foo", PAIR[1:])
    await settle_namings(world.store, world.clock, [Naming(one, "foo"), Naming(other, "other")])
    with pytest.raises(ConflictError, match="mapping file says that they are not"):
        await world.by_hand.merge(PAIR)
    async with world.store.begin(write=False) as work:
        assert list(await work.entities.rulings(undone=True)) == []
    assert await world.events() == []


class Broken(Mortal):
    """A store that loses the commit with this number."""

    async def commit(self, work: Any) -> None:
        self._fuse -= 1
        if self._fuse == 0:
            raise TransientStorageError("the connection broke before COMMIT")
        await work.commit()


@pytest.mark.parametrize("lost", [Unheard, Broken])
async def test_a_commit_that_falters(lost: Any) -> None:
    """Where the answer to the commit is lost, or the commit itself, the decision is made once, told once, and answered
    as if nothing had been."""
    world = World()
    await world.bring_in()

    def faltering() -> ByHand:
        return ByHand(lost(world.store, 1), world.clock)

    merged = await faltering().merge(PAIR)
    split = await faltering().split("b:btc-bitcoin", ["c:1"])
    undone = await faltering().undo(split.act)
    assert [len(each.rulings) for each in (merged, split, undone)] == [1, 2, 2]
    assert await world.events() == ["entities.merged", "entities.split", "entities.undone"]
    async with world.store.begin(write=False) as work:
        assert list(await work.entities.rulings()) == list(merged.rulings)


async def test_what_there_is_not() -> None:
    """Names and rulings that nobody knows say where to look; an asset of an unknown source is no entity."""
    world = World()
    await world.bring_in()
    for name in ("none", "a:none", "none:foo", ":", ""):
        with pytest.raises(UnknownEntityError, match="kasparro entities list"):
            await world.by_hand.merge(["a:foo", name])
    with pytest.raises(UnknownRulingError, match="kasparro entities rulings"):
        await world.by_hand.undo(7)


_acts = st.lists(
    st.tuples(
        st.sampled_from(["merge", "split", "undo", "names", "claims"]),
        st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True),
        st.integers(0, 5),
    ),
    max_size=7,
)


@given(acts=_acts)
@settings(max_examples=40)
def test_any_decisions_hold_and_can_be_taken_back(acts: Sequence[tuple[str, list[str], int]]) -> None:
    """After any decisions among any new claims: what was merged last is one, what was split last is apart, a source's
    asset stands in one entity, and all taken back, in any order, leaves the entities as they were, by their old ids."""
    asyncio.run(_decides(acts))


async def _decides(acts: Sequence[tuple[str, list[str], int]]) -> None:
    world, standing = World(), list[int]()
    await world.bring_in()
    before = await world.groups()
    for act, names, number in acts:
        await _do(world, standing, act, names, number)
        groups = await world.groups()
        assert sorted(asset for assets in groups.values() for asset in assets) == sorted(NAMES)
    await world.bring_in()
    for act in standing[::2] + standing[1::2]:
        await world.by_hand.undo(act)
    assert await world.groups() == before


async def _do(world: World, standing: list[int], act: str, names: list[str], number: int) -> None:
    if act == "names":
        await world.bring_in(**{"abc"[number % 3]: f"Other Name {number}"})
    elif act == "claims":
        await world.bring_in()
    elif act == "undo":
        if standing:
            await world.by_hand.undo(standing.pop(number % len(standing)))
    else:
        await _say(world, standing, act, names)


async def _say(world: World, standing: list[int], act: str, names: list[str]) -> None:
    try:
        decided = await (world.by_hand.merge(names) if act == "merge" else world.by_hand.split(names[0], names[1:]))
    except ConflictError as refused:
        assert refused.code in {"one_already", "apart_already", "nothing_left"}
        return
    standing.append(decided.act)
    homes = [await world.home(name) for name in names]
    assert len(set(homes)) == 1 if act == "merge" else homes[0] not in homes[1:]


async def test_a_database_that_stays_away() -> None:
    """What cannot be committed at all is an error, and was never said."""

    class Gone(MemoryStore):
        def begin(self, *, write: bool = True) -> Any:
            if write and self.gone:
                raise TransientStorageError("locked")
            return super().begin(write=write)

        gone = False

    world = World(Gone())
    await world.bring_in()
    before = await world.groups()
    world.store.gone = True  # type: ignore[attr-defined]
    with pytest.raises(TransientStorageError):
        await world.by_hand.merge(PAIR)
    assert await world.groups() == before
