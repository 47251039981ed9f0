"""Replays and identity: the same ids again, links for what was stored before there were any, rehearsals undone."""

from __future__ import annotations

from assets import all_known, homes
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.model.entity import AssetId, EntityQuery
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

MAPPING = {"kind": "quote", "key": "id", "external_id": "id", "title": "name", "symbol": "symbol"}
RENAMED = {**MAPPING, "title": "label"}
ITEMS = {
    "a": [("bitcoin", "BTC", "Bitcoin"), ("foo", "FOO", "Foo")],
    "b": [("btc-bitcoin", "BTC", "Bitcoin"), ("foo-else", "FOO", "Something Else")],
}


class Bench:
    """Two sources, loaded and replayed."""

    def __init__(self) -> None:
        clock = SteppingClock()
        self.store = MemoryStore(clock.now)
        self.parts = (self.store, MemoryHandle(MemoryOwners()), clock, {"lines": LinesDecoder()}, Told())

    async def load(self, *, identity: bool = True) -> None:
        """Both sources, from the network."""
        for name, items in ITEMS.items():
            rows = [{"id": i, "symbol": s, "name": n, "label": f"{n} Two"} for i, s, n in items]
            job = SourceJob(
                ScriptedSource({"": [rows]}, name=name), RecordMapping(source=name, **MAPPING), identity=identity
            )
            await Runner(*self.parts).run(job, full=True)

    async def replay(self, mapping: dict[str, str] | None = None, *, dry_run: bool = False) -> None:
        """Both sources, from what is stored."""
        for name in ITEMS:
            job = SourceJob(ScriptedSource({}, name=name), RecordMapping(source=name, **(mapping or MAPPING)))
            await Replayer(*self.parts).replay(job, dry_run=dry_run)


async def test_a_replay_gives_the_same_ids() -> None:
    """Links, their instants and the ages of entities are as they were, however often everything is replayed."""
    bench = Bench()
    await bench.load()
    before = sorted(await all_known(bench.store), key=str)
    await bench.replay()
    await bench.replay()
    assert sorted(await all_known(bench.store), key=str) == before
    async with bench.store.begin(write=False) as work:
        assert [entity.age for entity in await work.entities.list(EntityQuery())] == [1, 2, 3]


async def test_a_replay_links_what_is_stored_without_links() -> None:
    """A database from before, or one that was loaded with identity switched off: nothing of the records changes, and
    they are linked as a load links them."""
    bench, other = Bench(), Bench()
    await bench.load(identity=False)
    assert await homes(bench.store) == {}
    await bench.replay()
    await other.load()
    assert await homes(bench.store) == await homes(other.store)
    assert (await homes(bench.store))[AssetId("b", "btc-bitcoin")] == "btc-bitcoin"


async def test_a_mapping_that_is_mended_moves_links_and_keeps_ids() -> None:
    """A replay by other rules claims other names: the entities stay, whatever their assets are called now."""
    bench = Bench()
    await bench.load()
    before = await homes(bench.store)
    await bench.replay(RENAMED)
    assert {known.claim.name for known in await all_known(bench.store)} >= {"Bitcoin Two", "Foo Two"}
    assert await homes(bench.store) == before


async def test_a_rehearsal_leaves_no_trace() -> None:
    """A dry run decides and takes it back."""
    bench = Bench()
    await bench.load()
    before = sorted(await all_known(bench.store), key=str)
    await bench.replay(RENAMED, dry_run=True)
    assert sorted(await all_known(bench.store), key=str) == before
