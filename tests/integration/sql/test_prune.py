"""Pruning real databases: what is left still replays, resumes and adds up, also while runs go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told
from sqlalchemy import text

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.repositories import retention
from kasparro_core.model import (
    SLICE_ROWS,
    BatchRead,
    Counters,
    RawPayload,
    RecordQuery,
    RejectionQuery,
    Run,
    RunStatus,
    Trigger,
    pack,
)
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.prune import OWN, Keep, Pruner
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price", occurred_at="at")
EVERYTHING: Mapping[Prunable, Keep] = {Prunable.RAW: 1, Prunable.VERSIONS: 1, Prunable.RUNS: 1}


def page(number: int, *ids: str) -> list[dict[str, Any]]:
    """A page on which each of these ids has the price of its number."""
    return [{"id": each, "price": str(number), "at": f"2024-01-{number:02}"} for each in ids]


class Bench:
    """One database, a clock that a test moves on, and what works on them."""

    def __init__(self, url: str) -> None:
        self.clock = SteppingClock()
        self.store = SqlStore(url)
        self.owners = MemoryOwners()

    def _parts(self, told: Any) -> tuple[Any, ...]:
        return self.store, MemoryHandle(self.owners), self.clock, {"lines": LinesDecoder()}, told

    async def run(self, pages: list[Any], told: Any = None) -> Run | None:
        source = ScriptedSource({"": pages}, clock=self.clock)
        return await Runner(*self._parts(told or Told())).run(SourceJob(source, MAPPING, history=True))

    async def replay(self) -> Run:
        job = SourceJob(ScriptedSource({}), MAPPING, history=True)
        return await Replayer(*self._parts(Told())).replay(job)

    async def prune(self, policy: Mapping[Prunable, Keep], **options: Any) -> Mapping[Prunable, Pruned]:
        return await Pruner(self.store, self.clock, slice_rows=3).prune(policy, **options)

    async def prices(self) -> dict[str, str]:
        async with self.store.begin(write=False) as work:
            return {row.record.key: str(row.record.value) for row in await work.records.page(RecordQuery())}

    async def payloads(self) -> list[int | None]:
        """The raw_ids of the reads that have one; each of them leads to its payload."""
        async with self.store.begin(write=False) as work:
            ids = [read.raw_id for read in await work.runs.reads("scripted")]
            assert [await work.raw.get(raw_id) is not None for raw_id in ids if raw_id] == [True] * len(ids)
        return ids

    async def count(self, statement: str) -> int:
        async with self.store.begin(write=False) as work:
            return int((await work._session.run(text(statement))).scalar_one())


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    """A bench on a fresh database of each kind."""
    bench = Bench(database_url)
    yield bench
    await bench.store.close()


@pytest.mark.parametrize("keep", [timedelta(days=5), 1], ids=["age", "size"])
async def test_what_is_left_replays_and_runs_on(bench: Bench, keep: Keep) -> None:
    """Payloads are pruned by age or by size; a replay of the others changes nothing, a run goes on at its checkpoint,
    the sums and the records stay, and a second pruning finds nothing."""
    pages = [page(n, "a", "b", f"c{n}") for n in range(1, 10)]
    await bench.run(pages[:7])
    bench.clock._now += timedelta(days=9)
    await bench.run(pages[:8])
    before = await bench.prices()
    async with bench.store.begin(write=False) as work:
        totals = list(await work.totals.list())
    promised = await bench.prune({Prunable.RAW: keep}, dry_run=True)
    pruned = await bench.prune({Prunable.RAW: keep})
    assert pruned == promised
    assert pruned[Prunable.RAW].rows == 7
    assert len(await bench.payloads()) == 1
    assert (await bench.prune({Prunable.RAW: keep}))[Prunable.RAW] == Pruned()
    async with bench.store.begin(write=False) as work:
        assert list(await work.totals.list()) == totals
    replayed = await bench.replay()
    assert (replayed.status, replayed.counters.fetched, replayed.counters.unchanged) == (RunStatus.UNCHANGED, 3, 3)
    assert await bench.prices() == before
    last = await bench.run(pages)
    assert last is not None
    assert last.counters[:3] == Counters(fetched=3, inserted=1, updated=2)[:3]


class StopAfterOne(Told):
    """Cancels a run after its first slice."""

    stop: asyncio.Task[Any]

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        super().batch_committed(run, partition, delta)
        self.stop.cancel()


async def test_a_broken_off_payload_is_finished_after_a_pruning(bench: Bench) -> None:
    """A run stops between two slices of a payload. That payload is the oldest, and is kept: the next run
    finishes it without asking the source again; after that it can go."""
    rows = [{"id": f"k{n}", "price": "1", "at": "2024-01-01"} for n in range(SLICE_ROWS + 5)]
    stopper = StopAfterOne()
    stopper.stop = asyncio.create_task(bench.run([rows], stopper))
    with pytest.raises(asyncio.CancelledError):
        await stopper.stop
    async with bench.store.begin() as work:
        (place,) = await work.checkpoints.list()
        run = await work.runs.start("scripted", Trigger.BACKFILL, bench.clock.now())
        raw_id = await work.raw.put("scripted", "", pack(RawPayload(b"[]", {"format": "lines"}), 0))
        read = BatchRead(run.run_id, "", 1, raw_id, None, None, bench.clock.now())
        await work.runs.record_read(read, counters=Counters())
        await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, bench.clock.now())
        await work.commit()
    assert (await bench.prune(EVERYTHING))[Prunable.RAW] == Pruned()
    source = ScriptedSource({"": [rows]}, clock=bench.clock)
    await Runner(*bench._parts(Told())).run(SourceJob(source, MAPPING, history=True))
    assert source.asked == []
    assert len(await bench.payloads()) == 3
    async with bench.store.begin(write=False) as work:
        assert await work.records.count() == SLICE_ROWS + 5
    assert place.cursor["$slice"]["raw_id"] in await bench.payloads()
    assert (await bench.prune(EVERYTHING))[Prunable.RAW].rows == 1


async def test_reads_are_let_go_a_few_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload that was read very often loses its reads in slices, each a transaction of its own, the newest one last,
    and is gone with it; until then it is there for the reads that name it."""
    monkeypatch.setattr(retention, "_READS", 2)
    await bench.run([page(1, "a") for _ in range(6)])
    await bench.run([*(page(1, "a") for _ in range(6)), page(2, "a")])
    (first, *_, last) = before = await bench.payloads()
    assert before == [first] * 6 + [last]
    left = []
    while True:
        async with bench.store.begin() as work:
            gone = await work.retention.prune(Prunable.RAW, Bound(max_bytes=0))
            await work.commit()
        left.append(await bench.payloads())
        if not gone.more:
            break
    assert left == [[first] * 4 + [last], [first] * 2 + [last], [last]]
    assert (gone.rows, await bench.count("SELECT count(*) FROM raw_batches")) == (1, 1)


async def test_pruner_goes_on_until_all_reads_are_let_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice in which no payload went, because it is read too often, is not the last one."""
    monkeypatch.setattr(retention, "_READS", 2)
    await bench.run([page(1, "a") for _ in range(6)])
    await bench.run([*(page(1, "a") for _ in range(6)), page(2, "a")])
    assert (await bench.prune(EVERYTHING))[Prunable.RAW].rows == 1
    assert len(await bench.payloads()) == 1


async def test_open_rejections_keep_their_payload(bench: Bench) -> None:
    """Until their key loads; then payload, rejection and run can go, one after the other."""
    await bench.run([[*page(1, "a"), {"id": "bad", "price": {}, "at": "x"}]])
    await bench.run([[], page(2, "a"), page(3, "a")])
    async with bench.store.begin(write=False) as work:
        opened = await work.rejections.list(RejectionQuery(state="open"))
    assert opened
    await bench.prune(EVERYTHING)
    assert opened[-1].raw_id in await bench.payloads()
    async with bench.store.begin() as work:
        await work._session.run(text("UPDATE rejections SET state = 'resolved'"))
        await work.commit()
    pruned = await bench.prune({**EVERYTHING, Prunable.RESOLVED_REJECTIONS: 1})
    assert pruned[Prunable.RESOLVED_REJECTIONS].rows == len(opened)
    assert opened[-1].raw_id not in await bench.payloads()


async def test_pruning_beside_runs_and_beside_another(bench: Bench) -> None:
    """Two prunings without end beside runs that read the same few payloads again and again: afterwards each read that
    names a payload has it, no version is without its record, and one more run has every record there."""
    pages = [page(1 + n % 3, "a", f"b{n % 3}") for n in range(60)]
    policy = {**EVERYTHING, Prunable.RECORDS: 1, Prunable.RESOLVED_REJECTIONS: 1}

    async def forever() -> None:
        while True:
            await Pruner(bench.store, SteppingClock(bench.clock.now()), slice_rows=3).prune(policy)

    prunings = [asyncio.create_task(forever()) for _ in range(2)]
    for start in (0, 20, 40):
        run = await bench.run(pages[: start + 20])
        assert run is not None
        assert run.status in {RunStatus.SUCCEEDED, RunStatus.UNCHANGED}
        assert run.counters.fetched == 40
    for pruning in prunings:
        pruning.cancel()
    ended = await asyncio.gather(*prunings, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
    assert await bench.payloads()
    orphans = "SELECT count(*) FROM record_versions WHERE record_id NOT IN (SELECT record_id FROM records)"
    assert await bench.count(orphans) == 0
    assert (await bench.replay()).status in {RunStatus.SUCCEEDED, RunStatus.UNCHANGED}
    await bench.run([*pages, *(page(4, "a", f"b{n}") for n in range(3))])
    assert await bench.prices() == dict.fromkeys(("a", "b0", "b1", "b2"), "4")


async def test_the_services_own_things_go_by_themselves(bench: Bench) -> None:
    """Without any policy: events after a week; runs, payloads and records stay for ever."""
    await bench.run([page(1, "a")])
    bench.clock._now += timedelta(days=4_000)
    pruned = await bench.prune({})
    assert set(pruned) == set(OWN)
    assert pruned[Prunable.EVENTS].rows == 3
    assert await bench.count("SELECT count(*) FROM outbox") == 0
    assert len(await bench.payloads()) == 1


@pytest.mark.postgres
async def test_a_payload_that_is_just_being_read_again_stays(postgres_url: str) -> None:
    """A run has found the payload known and has not committed its read yet: a pruning meanwhile leaves it alone."""
    bench = Bench(postgres_url)
    await bench.run([page(1, "a"), page(2, "a")])
    same = pack(RawPayload(json.dumps(page(1, "a")).encode(), {"format": "lines"}), 1)
    async with bench.store.begin() as work, bench.store.begin() as other:
        run = await work.runs.start("scripted", Trigger.CLI, bench.clock.now())
        raw_id = await work.raw.put("scripted", "", same)
        assert await other.retention.prunable(Prunable.RAW, Bound(max_bytes=0)) != Pruned()
        assert await other.retention.prune(Prunable.RAW, Bound(max_bytes=0)) == Pruned()
        await other.commit()
        read = BatchRead(run.run_id, "", 1, raw_id, None, None, bench.clock.now())
        await work.runs.record_read(read, counters=Counters())
        await work.commit()
    assert (await bench.payloads())[-1] == raw_id
    await bench.store.close()
