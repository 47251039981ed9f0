"""What a replay promises: the same table from the stored payloads alone."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.model import RecordQuery, RejectionQuery, RunQuery, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.preview import preview
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

PRICE = RecordMapping(source="scripted", kind="quote", key=["id"], value="price", occurred_at="at")
COST = RecordMapping(source="scripted", kind="quote", key=["id"], value="cost", occurred_at="at")
PAGES = [
    [{"id": "a", "price": "1", "cost": "10", "at": "2024-01-01"}, {"id": "b", "price": "2", "cost": "20"}, {"x": 1}],
    [{"id": "a", "price": "3", "cost": "30", "at": "2024-01-02"}, {"id": "b", "price": "2", "cost": "20"}],
    [{"id": "a", "price": "9", "cost": "90", "at": "2023-12-31"}, {"id": "c", "price": "5", "cost": "bad"}],
]


class Bench:
    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.owners = MemoryOwners()
        self.told = Told()

    def _parts(self) -> tuple[Any, ...]:
        return self.store, MemoryHandle(self.owners), self.clock, {"lines": LinesDecoder()}, self.told

    async def load(self, mapping: RecordMapping, pages: list[Any] = PAGES) -> None:
        source = ScriptedSource({"": pages}, clock=SteppingClock())
        await Runner(*self._parts()).run(SourceJob(source, mapping, history=True))

    async def replay(self, mapping: RecordMapping, *, dry_run: bool = False) -> Any:
        gone = ScriptedSource({})
        job = SourceJob(gone, mapping, history=True)
        run = await Replayer(*self._parts()).replay(job, dry_run=dry_run)
        assert gone.asked == []
        return run

    async def table(self) -> list[Any]:
        async with self.store.begin(write=False) as work:
            found = []
            for stored in await work.records.page(RecordQuery()):
                versions = await work.records.versions(stored.record_id)
                found.append(
                    (
                        stored.record,
                        stored.updated_at,
                        stored.first_seen_at,
                        [(v.record, v.observed_at) for v in versions],
                    )
                )
            return found


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_replay_with_the_same_rules_changes_nothing(bench: Bench) -> None:
    """Every item is counted again, nothing is written, and the network is not touched."""
    await bench.load(PRICE)
    before = await bench.table()
    run = await bench.replay(PRICE)
    assert (run.status, run.counters.fetched, run.counters.unchanged) == (RunStatus.SUCCEEDED, 7, 6)
    assert await bench.table() == before


async def test_a_replay_after_a_mended_rule_equals_a_clean_load(bench: Bench) -> None:
    """Loaded with the wrong field and replayed with the right one, the table and its versions are those of a load that
    was right from the start."""
    await bench.load(PRICE)
    await bench.replay(COST)
    clean = Bench()
    await clean.load(COST)
    assert await bench.table() == await clean.table()


async def test_a_replay_does_not_count_the_same_rejection_twice(bench: Bench) -> None:
    """A replayed item is the same item: `times` stays."""
    await bench.load(PRICE)
    await bench.replay(PRICE)
    async with bench.store.begin(write=False) as work:
        assert [r.times for r in await work.rejections.list(RejectionQuery(stage="normalize"))] == [1]


async def test_a_dry_run_tells_and_writes_nothing(bench: Bench) -> None:
    """The counters say what would change; the table stays."""
    await bench.load(PRICE)
    before = await bench.table()
    run = await bench.replay(COST, dry_run=True)
    assert run.counters.updated > 0
    assert await bench.table() == before
    async with bench.store.begin(write=False) as work:
        assert len(await work.runs.list(RunQuery())) == 1


async def test_preview_reads_and_stores_nothing(bench: Bench) -> None:
    """Items, records and rejections of each page come out, in order."""
    source = ScriptedSource({"": PAGES})
    seen = [part async for part in preview(source, PRICE, bench.clock)]
    assert [len(part.batch.items) for part in seen] == [3, 2, 2]
    assert sum(len(part.normalized.records) + len(part.rejections) for part in seen) == 7
    assert await bench.table() == []
