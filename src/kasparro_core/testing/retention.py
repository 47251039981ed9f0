"""The contract of Retention for everything but raw payloads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kasparro_core.model import Counters, Event, EventType, GivenAnswer, RunQuery, RunStatus, Slot, SlotState, Trigger
from kasparro_core.model.rejection import RejectionQuery
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, later, observe, record, rejection, table, titles, versions
from kasparro_core.testing.pruning import a_read, prunable, prune, walk

LATE = later(1_000)
"""Later than everything that is not said to be later still."""


class RetentionContract:
    """Pruning. Needs a fixture `store`: migrated and empty."""

    @pytest.mark.parametrize("what", list(Prunable))
    async def test_an_empty_store_has_nothing_to_prune(self, store: Store, what: Prunable) -> None:
        """Of each kind, by age and by size."""
        for bound in (Bound(before=LATE), Bound(max_bytes=0)):
            assert await prunable(store, what, bound) == Pruned()
            assert await prune(store, what, bound) == Pruned()

    def test_a_bound_is_exactly_one_thing(self) -> None:
        """Neither nothing nor two at once can be asked for."""
        both: dict[str, Any] = {"before": LATE, "max_bytes": 1}
        for given in ({}, both):
            with pytest.raises(ValueError, match="exactly one"):
                Bound(**given)

    async def test_more_than_one_statement_holds_can_go_at_once(self, store: Store) -> None:
        """Any limit is one call."""
        async with store.begin() as work:
            for number in range(2_500):
                await work.events.append(Event(EventType.DRIFT, SOURCE, number, later(number)))
            await work.commit()
        went = await prune(store, Prunable.EVENTS, Bound(before=later(10_000)), limit=2_400)
        assert went.rows == 2_400
        assert (await prunable(store, Prunable.EVENTS, Bound(before=later(10_000)))).rows == 100

    async def test_prunes_versions_by_their_instant(self, store: Store) -> None:
        """Earlier states go, the latest one never."""
        await _history(store, "k", 5)
        await _history(store, "other", 2)
        went = await prune(store, Prunable.VERSIONS, Bound(before=later(2)))
        assert went.rows == 3
        assert went.bytes > 0
        assert titles(await versions(store, "k")) == ["3", "2"]
        assert titles(await versions(store, "other")) == []
        assert (await table(store))["k"].record.title == "4"

    async def test_prunes_versions_by_size(self, store: Store) -> None:
        """About as many bytes as their texts have; the newest stay."""
        await _history(store, "k", 5, filler="x" * 10_000)
        assert (await prune(store, Prunable.VERSIONS, Bound(max_bytes=25_000))).rows == 2
        assert [title[0] for title in titles(await versions(store, "k")) if title] == ["3", "2"]

    async def test_prunes_records_with_their_versions(self, store: Store) -> None:
        """By the last change; the key can come again, as a new record with a new id."""
        await _history(store, "old", 3)
        await _history(store, "new", 3, first=100)
        before = await table(store)
        went = await prune(store, Prunable.RECORDS, Bound(before=later(50)))
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
        assert (await prune(store, Prunable.RUNS, Bound(before=later(3)))).rows == 2
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
            await prune(store, Prunable.RUNS, bound)
            assert await _runs(store) == [failed, degraded, other, running.run_id]
        assert first < failed

    async def test_a_run_stays_as_long_as_one_of_its_payloads(self, store: Store) -> None:
        """Its reads are what a replay goes by."""
        run_id, _ = await walk(store, 2, end=RunStatus.SUCCEEDED)
        await walk(store, 2, first=10, tag="b", end=RunStatus.SUCCEEDED)
        assert await prune(store, Prunable.RUNS, Bound(before=LATE)) == Pruned()
        assert (await prune(store, Prunable.RAW, Bound(before=LATE))).rows == 3
        assert (await prune(store, Prunable.RUNS, Bound(before=LATE))).rows == 1
        assert run_id not in await _runs(store)

    async def test_prunes_rejections_that_need_nobody(self, store: Store) -> None:
        """Resolved and old ones; open ones stay. The same item refused again is a new rejection."""
        async with store.begin() as work:
            for number, key in enumerate(("a", "b", "c")):
                refused = [rejection(number, key=key)]
                await work.rejections.add(SOURCE, "", 1, None, refused, later(number))
            assert await work.rejections.resolve(SOURCE, ["a", "c"], later(1)) == 2
            await work.commit()
        went = await prune(store, Prunable.RESOLVED_REJECTIONS, Bound(before=later(2)))
        assert went.rows == 1
        async with store.begin() as work:
            assert [row.key for row in await work.rejections.list(RejectionQuery())] == ["c", "b"]
            await work.rejections.add(SOURCE, "", 1, None, [rejection(0, key="a")], later(9))
            assert await work.rejections.resolve(SOURCE, ["a"], later(1)) == 1
            newest = (await work.rejections.list(RejectionQuery(limit=1)))[0]
        assert (newest.key, newest.times) == ("a", 1)

    async def test_prunes_events(self, store: Store) -> None:
        """By their instant; ids go on from where they were."""
        async with store.begin() as work:
            for second in (0, 1, 2):
                await work.events.append(Event(EventType.DRIFT, SOURCE, 1, later(second), {"x": "ü" * 50}))
            await work.commit()
        went = await prune(store, Prunable.EVENTS, Bound(before=later(3)))
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
        assert (await prune(store, Prunable.ANSWERS, Bound(before=later(1)))).rows == 1
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
        assert (await prune(store, Prunable.SLOTS, Bound(before=later(1)))).rows == 2
        assert (await prune(store, Prunable.SLOTS, Bound(before=LATE))).rows == 2
        async with store.begin(write=False) as work:
            left = {source: [slot.slot_at for slot in await work.schedules.slots(source)] for source in "abc"}
        assert left == {"a": [later(2)], "b": [later(2)], "c": [later(0)]}


async def _history(store: Store, key: str, states: int, *, first: int = 0, filler: str = "") -> None:
    for number in range(states):
        fresh = record(key, title=f"{number}{filler}")
        await observe(store, fresh, seen=later(first + number), history=True)


async def _run(store: Store, status: RunStatus, second: int, *, source: str = SOURCE, reads: int = 0) -> int:
    async with store.begin() as work:
        run = await work.runs.start(source, Trigger.CLI, later(second) - timedelta(seconds=1))
        for seq in range(reads):
            await work.runs.record_read(a_read(run.run_id, seq, None, later(second)), counters=Counters())
        await work.runs.add(run.run_id, Counters(fetched=1, inserted=1, requests=2))
        await work.runs.finish(run.run_id, status, later(second))
        await work.commit()
    return run.run_id


async def _runs(store: Store) -> list[int]:
    async with store.begin(write=False) as work:
        return sorted(run.run_id for run in await work.runs.list(RunQuery()))
