"""A source of renamed ids: the link moves to the new id, and the entity stays."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.http.presets import resolve_preset
from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.model import Run
from kasparro_core.model.entity import AssetId
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

Item = Mapping[str, str]
TICKERS = {"key": ["id"], "external_id": "id", "title": "name", "symbol": "symbol"}
OLD, NEW = {"id": "abc-old", "name": "Abece", "symbol": "ABC"}, {"id": "abd-new", "name": "Abede", "symbol": "ABD"}
GECKO = {"id": "abece", "name": "Abece", "symbol": "ABC"}
CHANGE = {"currency_id": "abd-new", "old_id": "abc-old", "new_id": "abd-new", "changed_at": "2022-07-15T07:00:00Z"}


def mapping_of(source: str) -> RecordMapping:
    if source != "ids":
        return RecordMapping(source=source, kind="quote", **TICKERS)
    preset = resolve_preset({"preset": "coinpaprika.changelog"})
    return RecordMapping(source="ids", kind=preset["kind"], **preset["mapping"])


class Bench:
    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.parts = (self.store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, Told())

    async def load(self, source: str, *items: Item) -> Run:
        pages = {"": [list(items)]}
        job = SourceJob(ScriptedSource(pages, name=source, clock=self.clock), mapping_of(source))
        run = await Runner(*self.parts).run(job, full=True)
        assert run is not None
        return run

    async def homes(self) -> dict[str, str]:
        """The entity of each id."""
        ids = [AssetId("coinpaprika", "abc-old"), AssetId("coinpaprika", "abd-new"), AssetId("coingecko", "abece")]
        async with self.store.begin(write=False) as work:
            found = await work.entities.claims(ids)
        return {asset.external_id: known.link.entity_id for asset, known in found.items()}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("first", ["ids", "coinpaprika"])
async def test_a_renamed_id_stands_in_the_entity_of_the_old_one(bench: Bench, first: str) -> None:
    """Whether the rename comes before or after the new id: the old entity keeps its id, and holds all three."""
    await bench.load("coingecko", GECKO)
    await bench.load("coinpaprika", OLD)
    home = (await bench.homes())["abece"]
    loads = [("ids", CHANGE), ("coinpaprika", NEW)]
    for source, item in loads if first == "ids" else loads[::-1]:
        await bench.load(source, item)
    assert await bench.homes() == {"abece": home, "abc-old": home, "abd-new": home}


async def test_of_a_chain_of_renames_the_last_may_be_told_first(bench: Bench) -> None:
    """A list of changes begins with the newest: the one before it leads from the oldest id to the newest, too, also
    where nobody knows the id in between."""
    await bench.load("coinpaprika", OLD, NEW)
    await bench.load("ids", {**CHANGE, "old_id": "abe-between"})
    await bench.load("ids", {**CHANGE, "new_id": "abe-between"})
    homes = await bench.homes()
    assert homes["abc-old"] == homes["abd-new"]


async def test_without_the_rename_they_are_two(bench: Bench) -> None:
    """Nothing but the rename says that they are one."""
    await bench.load("coinpaprika", OLD, NEW)
    homes = await bench.homes()
    assert homes["abc-old"] != homes["abd-new"]


async def test_a_rename_without_an_id_is_refused(bench: Bench) -> None:
    """An item that lacks one of the ids is a rejection, and the others are followed."""
    await bench.load("coinpaprika", OLD, NEW)
    run = await bench.load("ids", {**CHANGE, "old_id": ""}, CHANGE)
    assert (run.counters.rejected, run.counters.inserted) == (1, 1)
    homes = await bench.homes()
    assert homes["abc-old"] == homes["abd-new"]
