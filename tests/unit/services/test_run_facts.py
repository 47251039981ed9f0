"""What is known of a run beside its counters: written where it ends, whatever its end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import PermanentStorageError, TransientSourceError
from kasparro_core.model import Batch, FetchFacts, Run, RunFacts, RunStatus, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import ReadContext
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")
ITEMS = [{"id": "1", "price": "1"}, {"id": "2", "price": None}]


class SlowSource(ScriptedSource):
    """Each page took as many milliseconds as its number says: 10, 20 ..."""

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        number = 0
        try:
            async for batch in super().read(partition, context):
                number += 1
                yield replace(batch, fetch=replace(batch.fetch, took=(number / 100,)))
        except TransientSourceError as error:
            error.fetch = FetchFacts(self.clock.now(), requests=2, retries=1, took=(1.0, 2.0))
            raise


class Bench:
    """A process over a store in memory."""

    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.parts = (self.store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, Told())

    async def run(self, pages: list[Any], trigger: Trigger = Trigger.CLI) -> tuple[Run, RunFacts | None]:
        source = SlowSource({"": pages}, clock=self.clock)
        run = await Runner(*self.parts, code_version="1.2.3").run(
            SourceJob(source, MAPPING), trigger=trigger, full=True
        )
        assert run is not None
        return run, await self.facts(run)

    async def facts(self, run: Run) -> RunFacts | None:
        async with self.store.begin(write=False) as work:
            return await work.runs.facts(run.run_id)

    async def last_change(self) -> int:
        async with self.store.begin(write=False) as work:
            return await work.records.last_change()


async def test_a_run_leaves_what_it_ran_with_and_what_it_saw() -> None:
    """The program's version, the shape's version that it began, the place in the feed of changes, how long its requests
    took and how empty its items were."""
    bench = Bench()
    run, facts = await bench.run([ITEMS, ITEMS[:1]])
    assert run.status is RunStatus.SUCCEEDED
    assert facts is not None
    assert (facts.code_version, facts.schema_version, facts.change_seq) == ("1.2.3", 1, await bench.last_change())
    assert (facts.items, facts.null_rates) == (3, {"id": Decimal(0), "price": Decimal("0.333333")})
    assert facts.latency is not None
    assert (facts.latency.requests, facts.latency.most) == (2, Decimal(20))
    assert float(facts.latency.p50) == pytest.approx(10, rel=0.026)


async def test_a_change_of_shape_shows_in_the_version() -> None:
    """The run that finds another shape, and takes it, has its version; so has the next one."""
    bench = Bench()
    await bench.run([[{"id": str(number), "price": "1"} for number in range(30)]])
    wider = [[{"id": str(number), "price": "1", "more": number} for number in range(30)]]
    versions = [facts.schema_version for _, facts in [await bench.run(wider), await bench.run(wider)] if facts]
    assert versions == [2, 2]


async def test_a_failed_run_leaves_what_it_came_to() -> None:
    """The requests behind its failure are among those that took time."""
    bench = Bench()
    run, facts = await bench.run([ITEMS, TransientSourceError("no answer", code="timeout")])
    assert run.status is RunStatus.FAILED
    assert facts is not None
    assert facts.latency is not None
    assert (facts.latency.requests, facts.latency.most, facts.items) == (3, Decimal(2_000), 2)


async def test_a_backfill_says_nothing_of_the_shape() -> None:
    """What was sent long ago is not how empty the items are now; its requests took time all the same."""
    _, facts = await Bench().run([ITEMS], Trigger.BACKFILL)
    assert facts is not None
    assert (facts.items, facts.schema_version, facts.code_version) == (0, None, "1.2.3")
    assert facts.latency is not None


async def test_a_replay_asks_nobody() -> None:
    """It has the version of the program and its place in the feed of changes alone."""
    bench = Bench()
    await bench.run([ITEMS])
    source = SlowSource({"": []}, clock=bench.clock)
    run = await Replayer(*bench.parts, code_version="2.0").replay(SourceJob(source, MAPPING))
    assert await bench.facts(run) == RunFacts(code_version="2.0", change_seq=await bench.last_change())


async def test_facts_are_written_with_the_end_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that fails while the run is ended keeps neither: the facts of a run that goes on are none."""
    bench = Bench()
    finish = bench.store._state  # what is committed

    async def fails(*_: Any, **__: Any) -> Run:
        raise PermanentStorageError("the disk is full")

    monkeypatch.setattr("kasparro_adapters.memory.ledger.MemoryRuns.finish", fails)
    with pytest.raises(PermanentStorageError):
        await bench.run([ITEMS])
    assert [run.status for run in finish.runs.values()] == [RunStatus.RUNNING]
    assert finish.run_facts == {}


def test_the_document_of_facts_is_json() -> None:
    """What is not known is null, and nothing needs more than JSON has."""
    document = RunFacts().document()
    assert json.loads(json.dumps(document)) == document
    assert document["latency_ms"] is None
