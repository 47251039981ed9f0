"""Articles are linked to the entities that they speak of, in the unit of work that brings them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.identity.keys import keys_of
from kasparro_core.model import RecordQuery
from kasparro_core.model.entity import AssetId, Blocks, Claim, Decision, Entity, Known, Market
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.mentions import named
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner
from kasparro_core.testing.entities import known

NEWS = RecordMapping(source="scripted", kind="article", key=["id"], title="title", attributes={"summary": "text"})
ABOUT = {"id": "1", "title": "Bitcoin rises", "text": "<p>A <b>crypto</b> day</p>"}
QUIET = {"id": "2", "title": "Weather", "text": "Rain"}


def bitcoin(source: str = "a", rank: int | None = 1) -> Known:
    """A source's claim of Bitcoin."""
    claim = Claim(AssetId(source, "btc"), "asset", "BTC", "Bitcoin", market=Market(rank))
    return replace(known(source, "btc", "btc-bitcoin"), claim=claim)


class Bench:
    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.parts = (self.store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, Told())

    async def know(self) -> None:
        """From now on there is Bitcoin."""
        one = bitcoin()
        blocks = {one.claim.asset: Blocks(*keys_of(one.claim))}
        async with self.store.begin() as work:
            entity = Entity("btc-bitcoin", "asset", "BTC", "Bitcoin")
            await work.identity.save(Decision(made=[entity], known=[one], blocks=blocks))
            await work.commit()

    async def load(self, *items: dict[str, str]) -> None:
        job = SourceJob(ScriptedSource({"": [list(items)]}, clock=self.clock), NEWS)
        await Runner(*self.parts).run(job, full=True)

    async def replay(self) -> None:
        await Replayer(*self.parts).replay(SourceJob(ScriptedSource({}), NEWS))

    async def about(self) -> list[str]:
        """The keys of what speaks of Bitcoin."""
        async with self.store.begin(write=False) as work:
            return [each.record.key for each in await work.records.page(RecordQuery(entity="btc-bitcoin"))]

    async def forget(self) -> None:
        async with self.store.begin() as work:
            await work.mentions.put("scripted", {"1": []})
            await work.commit()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_articles_are_found_by_what_they_speak_of(bench: Bench) -> None:
    """An article that names a known coin is found by its entity; another one is not."""
    await bench.know()
    await bench.load(ABOUT, QUIET)
    assert await bench.about() == ["1"]


async def test_an_edit_takes_a_mention_back(bench: Bench) -> None:
    """What an article speaks of is what it says now."""
    await bench.know()
    await bench.load(ABOUT, QUIET)
    await bench.load({**ABOUT, "title": "Something rises"}, {**QUIET, "text": "Bitcoin (BTC)"})
    assert await bench.about() == ["2"]


async def test_what_has_not_changed_is_not_read_again(bench: Bench) -> None:
    """A new article beside an old one costs nothing for the old one."""
    await bench.know()
    await bench.load(ABOUT)
    await bench.forget()
    await bench.load(ABOUT, {**ABOUT, "id": "3"})
    assert await bench.about() == ["3"]


async def test_a_replay_finds_what_came_to_be_known_since(bench: Bench) -> None:
    """An article that was there before its coin is linked by a replay, though its record does not change."""
    await bench.load(ABOUT)
    await bench.know()
    assert await bench.about() == []
    await bench.replay()
    assert await bench.about() == ["1"]


def test_an_entity_has_every_name_and_the_best_rank() -> None:
    """Claims of several sources add up to one entity."""
    (one,) = named([bitcoin("a", 7), bitcoin("b", 2), bitcoin("c", None)])
    assert (one.entity_id, one.names, one.symbols, one.rank) == ("btc-bitcoin", {"bitcoin"}, {"btc"}, 2)
