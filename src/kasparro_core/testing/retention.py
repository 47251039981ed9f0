"""The contract of Retention."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from kasparro_core.model import (
    BatchRead,
    Counters,
    Event,
    EventType,
    FetchFacts,
    GivenAnswer,
    RawPayload,
    RunQuery,
    RunStatus,
    Slot,
    SlotState,
    Trigger,
    pack,
)
from kasparro_core.model.rejection import RejectionQuery
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.ports import Store
from kasparro_core.services.position import SlicePosition
from kasparro_core.testing.build import SOURCE, later, observe, payload, record, rejection, table, titles, versions

LATE = later(1_000)
"""Later than everything that is not said to be later still."""


class RetentionContract:
    """Pruning. Needs a fixture `store`: migrated and empty."""

    @pytest.mark.parametrize("what", list(Prunable))
    async def test_an_empty_store_has_nothing_to_prune(self, store: Store, what: Prunable) -> None:
        """Of each kind, by age and by size."""
        for bound in (Bound(before=LATE), Bound(max_bytes=0)):
            assert await _prunable(store, what, bound) == Pruned()
            assert await _prune(store, what, bound) == Pruned()

    def test_a_bound_is_exactly_one_thing(self) -> None:
        """Neither nothing nor two at once can be asked for."""
        both: dict[str, Any] = {"before": LATE, "max_bytes": 1}
        for given in ({}, both):
            with pytest.raises(ValueError, match="exactly one"):
                Bound(**given)

    async def test_prunes_payloads_by_age(self, store: Store) -> None:
        """What was last read before the bound goes, with the bytes it held; its reads stay without it."""
        run_id, raws = await _walk(store, 5)
        went = await _prune(store, Prunable.RAW, Bound(before=later(2)))
        assert went == Pruned(2, sum(size for _, size in raws[:2]))
        assert await _kept(store, raws) == [False, False, True, True, True]
        async with store.begin(write=False) as work:
            reads = await work.runs.reads(SOURCE)
            assert [read.raw_id for read in reads] == [raw_id for raw_id, _ in raws[2:]]
            assert await work.runs.get(run_id) is not None

    async def test_prunes_payloads_by_size(self, store: Store) -> None:
        """The newest up to so many bytes stay; the one that does not fit goes, and all older ones."""
        _, raws = await _walk(store, 6)
        fits = sum(size for _, size in raws[3:])
        for bound in (Bound(max_bytes=fits), Bound(max_bytes=fits + raws[2][1] - 1)):
            assert await _prunable(store, Prunable.RAW, bound) == Pruned(3, sum(size for _, size in raws[:3]))
        assert (await _prune(store, Prunable.RAW, Bound(max_bytes=fits))).rows == 3
        assert await _kept(store, raws) == [False] * 3 + [True] * 3
        assert await _prune(store, Prunable.RAW, Bound(max_bytes=fits)) == Pruned()

    async def test_prunes_the_oldest_first_and_no_more_than_asked(self, store: Store) -> None:
        """In slices; a slice that is not full is the last one."""
        _, raws = await _walk(store, 6)
        bound = await _settled(store, Prunable.RAW, Bound(max_bytes=1))
        assert [(await _prune(store, Prunable.RAW, bound, limit=2)).rows for _ in range(3)] == [2, 2, 1]
        assert await _kept(store, raws) == [False] * 5 + [True]

    async def test_a_settled_bound_does_not_move(self, store: Store) -> None:
        """What is read after the bound was settled is inside it, however much it is; an age is settled already."""
        _, raws = await _walk(store, 3)
        bound = await _settled(store, Prunable.RAW, Bound(max_bytes=raws[2][1]))
        assert bound.max_bytes is None
        _, more = await _walk(store, 3, first=10, tag="more")
        assert (await _prune(store, Prunable.RAW, bound)).rows == 2
        assert await _kept(store, raws + more) == [False, False, True, True, True, True]
        assert await _settled(store, Prunable.RAW, Bound(before=LATE)) == Bound(before=LATE)

    async def test_more_than_one_statement_holds_can_go_at_once(self, store: Store) -> None:
        """Any limit is one call."""
        async with store.begin() as work:
            for number in range(2_500):
                await work.events.append(Event(EventType.DRIFT, SOURCE, number, later(number)))
            await work.commit()
        went = await _prune(store, Prunable.EVENTS, Bound(before=later(10_000)), limit=2_400)
        assert went.rows == 2_400
        assert (await _prunable(store, Prunable.EVENTS, Bound(before=later(10_000)))).rows == 100

    async def test_nothing_goes_without_a_commit(self, store: Store) -> None:
        """A pruning that is rolled back never was."""
        _, raws = await _walk(store, 3)
        async with store.begin() as work:
            assert (await work.retention.prune(Prunable.RAW, Bound(before=LATE))).rows == 2
        assert await _kept(store, raws) == [True] * 3

    async def test_a_payload_is_as_old_as_its_newest_read(self, store: Store) -> None:
        """The same bytes read again are young again; all their reads lose them together."""
        _, raws = await _walk(store, 3)
        _, again = await _walk(store, 1, first=50)
        assert again[0] == raws[0]
        await _walk(store, 1, first=60, tag="last")
        assert (await _prune(store, Prunable.RAW, Bound(before=later(50)))).rows == 2
        assert await _kept(store, raws) == [True, False, False]
        assert (await _prune(store, Prunable.RAW, Bound(before=later(51)))).rows == 1
        async with store.begin(write=False) as work:
            assert len(await work.runs.reads(SOURCE)) == 1

    async def test_the_newest_payload_of_a_partition_stays(self, store: Store) -> None:
        """Of each partition of each source, whatever was read without a body since."""
        kept = []
        for source, partition in (("a", ""), ("a", "p"), ("b", "")):
            _, raws = await _walk(store, 2, source=source, partition=partition)
            kept += raws
        await _walk(store, 1, source="a", first=90, bodies=False)
        for bound in (Bound(before=LATE), Bound(max_bytes=0)):
            await _prune(store, Prunable.RAW, bound)
            assert await _kept(store, kept) == [False, True] * 3

    async def test_a_payload_that_a_checkpoint_points_into_stays(self, store: Store) -> None:
        """A dead run goes on from it; once the position has moved on it may go."""
        _, raws = await _walk(store, 3)
        facts = FetchFacts(later(0))
        position = SlicePosition(raws[0][0], 10, {"page": 2}, facts, ()).to_cursor()
        await _save_cursor(store, position, 0)
        await _save_cursor(store, {"$slice": {"raw_id": "damaged"}}, 0, partition="p")
        assert (await _prunable(store, Prunable.RAW, Bound(before=LATE))).rows == 1
        assert (await _prune(store, Prunable.RAW, Bound(before=LATE))).rows == 1
        assert await _kept(store, raws) == [True, False, True]
        await _save_cursor(store, {"page": 2}, 1)
        assert (await _prune(store, Prunable.RAW, Bound(before=LATE))).rows == 1

    async def test_a_payload_of_an_open_rejection_stays(self, store: Store) -> None:
        """It is what a person looks at; once the rejection is resolved it may go, the rejection still naming it."""
        run_id, raws = await _walk(store, 3)
        async with store.begin() as work:
            await work.rejections.add(SOURCE, "", run_id, raws[1][0], [rejection(1, key="k")], later(1))
            await work.commit()
        await _prune(store, Prunable.RAW, Bound(before=LATE))
        assert await _kept(store, raws) == [False, True, True]
        async with store.begin() as work:
            await work.rejections.resolve(SOURCE, ["k"])
            await work.commit()
        await _prune(store, Prunable.RAW, Bound(before=LATE))
        assert await _kept(store, raws) == [False, False, True]
        async with store.begin(write=False) as work:
            (left,) = await work.rejections.list(RejectionQuery())
        assert left.raw_id == raws[1][0]

    async def test_the_same_bytes_can_come_again(self, store: Store) -> None:
        """Under another raw_id, so that what names the pruned one leads nowhere for ever."""
        _, raws = await _walk(store, 2)
        await _prune(store, Prunable.RAW, Bound(before=LATE))
        _, again = await _walk(store, 1, first=5)
        assert again[0][1] == raws[0][1]
        assert again[0][0] > raws[1][0]
        assert await _kept(store, raws + again) == [False, True, True]

    async def test_a_record_tells_a_pruned_payload_from_one_that_was_not_kept(self, store: Store) -> None:
        """Its raw_id stays and leads nowhere."""
        await observe(store, record("k", title="a"), seen=later(1))
        before = (await table(store))["k"]
        raw_id = before.raw_id
        assert raw_id is not None
        async with store.begin() as work:
            run = await work.runs.start(SOURCE, Trigger.CLI, later(1))
            for seq, found in enumerate((raw_id, await work.raw.put(SOURCE, "", payload("later")))):
                await work.runs.record_read(_read(run.run_id, seq, found, later(seq)), counters=Counters())
            await work.commit()
        assert (await _prune(store, Prunable.RAW, Bound(before=LATE))).rows == 1
        async with store.begin(write=False) as work:
            assert await work.raw.get(raw_id) is None
            assert await work.records.get(before.record_id) == before

    async def test_prunes_versions_by_their_instant(self, store: Store) -> None:
        """Earlier states go, the latest one never."""
        await _history(store, "k", 5)
        await _history(store, "other", 2)
        went = await _prune(store, Prunable.VERSIONS, Bound(before=later(2)))
        assert went.rows == 3
        assert went.bytes > 0
        assert titles(await versions(store, "k")) == ["3", "2"]
        assert titles(await versions(store, "other")) == []
        assert (await table(store))["k"].record.title == "4"

    async def test_prunes_versions_by_size(self, store: Store) -> None:
        """About as many bytes as their texts have; the newest stay."""
        await _history(store, "k", 5, filler="x" * 10_000)
        assert (await _prune(store, Prunable.VERSIONS, Bound(max_bytes=25_000))).rows == 2
        assert [title[0] for title in titles(await versions(store, "k")) if title] == ["3", "2"]

    async def test_prunes_records_with_their_versions(self, store: Store) -> None:
        """By the last change; the key can come again, as a new record with a new id."""
        await _history(store, "old", 3)
        await _history(store, "new", 3, first=100)
        before = await table(store)
        went = await _prune(store, Prunable.RECORDS, Bound(before=later(50)))
        assert went.rows == 1
        assert went.bytes > 0
        assert set(await table(store)) == {"new"}
        async with store.begin(write=False) as work:
            assert await work.records.versions(before["old"].record_id) == []
            assert await work.records.get(before["old"].record_id) is None
            assert await work.records.count() == 1
        outcome = await observe(store, record("old", title="2"), seen=later(200))
        assert outcome == (1, 0, 0)
        after = (await table(store))["old"]
        assert after.record_id > before["new"].record_id
        assert after.change_seq > before["new"].change_seq
        assert await versions(store, "old") == []

    async def test_prunes_runs_with_their_reads(self, store: Store) -> None:
        """By the instant of their end; what they added up to stays."""
        ids = [await _run(store, RunStatus.SUCCEEDED, second, reads=2) for second in (1, 2, 3, 4)]
        async with store.begin(write=False) as work:
            totals = list(await work.totals.list())
        assert totals
        assert (await _prune(store, Prunable.RUNS, Bound(before=later(3)))).rows == 2
        assert await _runs(store) == ids[2:]
        async with store.begin(write=False) as work:
            assert list(await work.totals.list()) == totals

    async def test_the_newest_runs_of_a_source_stay(self, store: Store) -> None:
        """Its newest success and failure, so also its newest run; a running one; and other sources' likewise."""
        first = await _run(store, RunStatus.FAILED, 1)
        failed = await _run(store, RunStatus.INTERRUPTED, 2)
        await _run(store, RunStatus.SUCCEEDED, 3)
        degraded = await _run(store, RunStatus.DEGRADED, 4)
        other = await _run(store, RunStatus.FAILED, 0, source="other")
        async with store.begin() as work:
            running = await work.runs.start(SOURCE, Trigger.CLI, later(5))
            await work.commit()
        for bound in (Bound(before=LATE), Bound(max_bytes=0)):
            await _prune(store, Prunable.RUNS, bound)
            assert await _runs(store) == [failed, degraded, other, running.run_id]
        assert first < failed

    async def test_a_run_stays_as_long_as_one_of_its_payloads(self, store: Store) -> None:
        """Its reads are what a replay goes by."""
        run_id, _ = await _walk(store, 2, end=RunStatus.SUCCEEDED)
        await _walk(store, 2, first=10, tag="b", end=RunStatus.SUCCEEDED)
        assert await _prune(store, Prunable.RUNS, Bound(before=LATE)) == Pruned()
        assert (await _prune(store, Prunable.RAW, Bound(before=LATE))).rows == 3
        assert (await _prune(store, Prunable.RUNS, Bound(before=LATE))).rows == 1
        assert run_id not in await _runs(store)

    async def test_prunes_rejections_that_need_nobody(self, store: Store) -> None:
        """Resolved and old ones; open ones stay. The same item refused again is a new rejection."""
        async with store.begin() as work:
            for number, key in enumerate(("a", "b", "c")):
                refused = [rejection(number, key=key)]
                await work.rejections.add(SOURCE, "", 1, None, refused, later(number))
            assert await work.rejections.resolve(SOURCE, ["a", "c"]) == 2
            await work.commit()
        went = await _prune(store, Prunable.RESOLVED_REJECTIONS, Bound(before=later(2)))
        assert went.rows == 1
        async with store.begin() as work:
            assert [row.key for row in await work.rejections.list(RejectionQuery())] == ["c", "b"]
            await work.rejections.add(SOURCE, "", 1, None, [rejection(0, key="a")], later(9))
            assert await work.rejections.resolve(SOURCE, ["a"]) == 1
            newest = (await work.rejections.list(RejectionQuery(limit=1)))[0]
        assert (newest.key, newest.times) == ("a", 1)

    async def test_prunes_events(self, store: Store) -> None:
        """By their instant; ids go on from where they were."""
        async with store.begin() as work:
            for second in (0, 1, 2):
                await work.events.append(Event(EventType.DRIFT, SOURCE, 1, later(second), {"x": "ü" * 50}))
            await work.commit()
        went = await _prune(store, Prunable.EVENTS, Bound(before=later(3)))
        assert went.rows == 3
        assert went.bytes > 300
        async with store.begin() as work:
            assert await work.events.last_id() == 3
            await work.events.append(Event(EventType.DRIFT, SOURCE, 1, later(9)))
            assert [event.event_id for event in await work.events.after(0)] == [4]

    async def test_prunes_answers(self, store: Store) -> None:
        """By the instant they were given; the key can be used again."""
        async with store.begin() as work:
            for second in (0, 1, 2):
                await work.answers.put(GivenAnswer(f"k{second}", "h", 202, None, "{}", later(second)))
            await work.commit()
        assert (await _prune(store, Prunable.ANSWERS, Bound(before=later(1)))).rows == 1
        async with store.begin() as work:
            assert await work.answers.get("k0") is None
            assert await work.answers.get("k1") is not None
            await work.answers.put(GivenAnswer("k0", "h", 202, None, "{}", later(3)))

    async def test_prunes_slots(self, store: Store) -> None:
        """By their instant; the newest of each source stays."""
        slots = [Slot(source, later(second), SlotState.MISSED) for source in ("a", "b") for second in (0, 1, 2)]
        async with store.begin() as work:
            await work.schedules.record([*slots, Slot("c", later(0), SlotState.MISSED)])
            await work.commit()
        assert (await _prune(store, Prunable.SLOTS, Bound(before=later(1)))).rows == 2
        assert (await _prune(store, Prunable.SLOTS, Bound(before=LATE))).rows == 2
        async with store.begin(write=False) as work:
            left = {source: [slot.slot_at for slot in await work.schedules.slots(source)] for source in "abc"}
        assert left == {"a": [later(2)], "b": [later(2)], "c": [later(0)]}


def _read(run_id: int, seq: int, raw_id: int | None, at: datetime, partition: str = "") -> BatchRead:
    return BatchRead(run_id, partition, seq, raw_id, "http://x/", 200 if raw_id else 304, at)


async def _walk(
    store: Store,
    count: int,
    *,
    first: int = 0,
    source: str = SOURCE,
    partition: str = "",
    tag: str = "",
    bodies: bool = True,
    end: RunStatus | None = None,
) -> tuple[int, list[tuple[int, int]]]:
    """A run with so many reads, a second apart from `first` on: its id, and raw_id and bytes of each payload. Reads of
    the same number and tag have the same bytes."""
    raws: list[tuple[int, int]] = []
    async with store.begin() as work:
        run = await work.runs.start(source, Trigger.CLI, later(first))
        for number in range(count):
            noise = hashlib.shake_256(f"{tag} {number}".encode()).digest(100 * (number + 1))
            packed = pack(RawPayload(noise, {"format": "json"}), 1)
            raw_id = await work.raw.put(source, partition, packed) if bodies else None
            at = later(first + number)
            await work.runs.record_read(_read(run.run_id, number, raw_id, at, partition), counters=Counters())
            raws.append((raw_id or 0, len(packed.packed)))
        if end is not None:
            await work.runs.finish(run.run_id, end, later(first + count))
        await work.commit()
    return run.run_id, raws


async def _kept(store: Store, raws: Sequence[tuple[int, int]]) -> list[bool]:
    async with store.begin(write=False) as work:
        return [await work.raw.get(raw_id) is not None for raw_id, _ in raws]


async def _history(store: Store, key: str, states: int, *, first: int = 0, filler: str = "") -> None:
    for number in range(states):
        fresh = record(key, title=f"{number}{filler}")
        await observe(store, fresh, seen=later(first + number), history=True)


async def _run(store: Store, status: RunStatus, second: int, *, source: str = SOURCE, reads: int = 0) -> int:
    async with store.begin() as work:
        run = await work.runs.start(source, Trigger.CLI, later(second) - timedelta(seconds=1))
        for seq in range(reads):
            await work.runs.record_read(_read(run.run_id, seq, None, later(second)), counters=Counters())
        await work.runs.add(run.run_id, Counters(fetched=1, inserted=1, requests=2))
        await work.runs.finish(run.run_id, status, later(second))
        await work.commit()
    return run.run_id


async def _runs(store: Store) -> list[int]:
    async with store.begin(write=False) as work:
        return sorted(run.run_id for run in await work.runs.list(RunQuery()))


async def _save_cursor(store: Store, cursor: Any, version: int, *, partition: str = "") -> None:
    async with store.begin() as work:
        await work.checkpoints.save(SOURCE, partition, cursor, expected_version=version, run_id=None, at=later(0))
        await work.commit()


async def _settled(store: Store, what: Prunable, bound: Bound) -> Bound:
    async with store.begin(write=False) as work:
        return await work.retention.settle(what, bound)


async def _prune(store: Store, what: Prunable, bound: Bound, *, limit: int = 1000) -> Pruned:
    """Prune as one committed unit of work; what was promised before is what went."""
    promised = await _prunable(store, what, bound)
    async with store.begin() as work:
        went = await work.retention.prune(what, bound, limit=limit)
        await work.commit()
    assert went == promised or went.rows == limit < promised.rows
    return went


async def _prunable(store: Store, what: Prunable, bound: Bound) -> Pruned:
    async with store.begin(write=False) as work:
        return await work.retention.prunable(what, bound)
