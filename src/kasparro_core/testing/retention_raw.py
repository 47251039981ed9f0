"""The contract of Retention for raw payloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kasparro_core.model import Counters, FetchFacts, Trigger
from kasparro_core.model.rejection import RejectionQuery
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.ports import Store
from kasparro_core.services.position import SlicePosition
from kasparro_core.testing.build import SOURCE, later, observe, payload, record, rejection, table
from kasparro_core.testing.pruning import a_read, prunable, prune, settled, walk

LATE = later(1_000)
"""Later than every read."""


class RawRetentionContract:
    """Pruning of payloads. Needs a fixture `store`: migrated and empty."""

    async def test_prunes_payloads_by_age(self, store: Store) -> None:
        """What was last read before the bound goes, with the bytes it held; its reads stay without it."""
        run_id, raws = await walk(store, 5)
        went = await prune(store, Prunable.RAW, Bound(before=later(2)))
        assert went == Pruned(2, sum(size for _, size in raws[:2]))
        assert await _kept(store, raws) == [False, False, True, True, True]
        async with store.begin(write=False) as work:
            reads = await work.runs.reads(SOURCE)
            assert [read.raw_id for read in reads] == [raw_id for raw_id, _ in raws[2:]]
            assert await work.runs.get(run_id) is not None

    async def test_prunes_payloads_by_size(self, store: Store) -> None:
        """The newest up to so many bytes stay; the one that does not fit goes, and all older ones."""
        _, raws = await walk(store, 6)
        fits = sum(size for _, size in raws[3:])
        for bound in (Bound(max_bytes=fits), Bound(max_bytes=fits + raws[2][1] - 1)):
            assert await prunable(store, Prunable.RAW, bound) == Pruned(3, sum(size for _, size in raws[:3]))
        assert (await prune(store, Prunable.RAW, Bound(max_bytes=fits))).rows == 3
        assert await _kept(store, raws) == [False] * 3 + [True] * 3
        assert await prune(store, Prunable.RAW, Bound(max_bytes=fits)) == Pruned()

    async def test_prunes_the_oldest_first_and_no_more_than_asked(self, store: Store) -> None:
        """In slices; a slice that is not full is the last one."""
        _, raws = await walk(store, 6)
        bound = await settled(store, Prunable.RAW, Bound(max_bytes=1))
        assert [(await prune(store, Prunable.RAW, bound, limit=2)).rows for _ in range(3)] == [2, 2, 1]
        assert await _kept(store, raws) == [False] * 5 + [True]

    async def test_a_settled_bound_does_not_move(self, store: Store) -> None:
        """What is read after the bound was settled is inside it, however much it is; an age is settled already."""
        _, raws = await walk(store, 3)
        bound = await settled(store, Prunable.RAW, Bound(max_bytes=raws[2][1]))
        assert bound.max_bytes is None
        _, more = await walk(store, 3, first=10, tag="more")
        assert (await prune(store, Prunable.RAW, bound)).rows == 2
        assert await _kept(store, raws + more) == [False, False, True, True, True, True]
        assert await settled(store, Prunable.RAW, Bound(before=LATE)) == Bound(before=LATE)

    async def test_nothing_goes_without_a_commit(self, store: Store) -> None:
        """A pruning that is rolled back never was."""
        _, raws = await walk(store, 3)
        async with store.begin() as work:
            assert (await work.retention.prune(Prunable.RAW, Bound(before=LATE))).rows == 2
        assert await _kept(store, raws) == [True] * 3

    async def test_a_payload_is_as_old_as_its_newest_read(self, store: Store) -> None:
        """The same bytes read again are young again; all their reads lose them together."""
        _, raws = await walk(store, 3)
        _, again = await walk(store, 1, first=50)
        assert again[0] == raws[0]
        await walk(store, 1, first=60, tag="last")
        assert (await prune(store, Prunable.RAW, Bound(before=later(50)))).rows == 2
        assert await _kept(store, raws) == [True, False, False]
        assert (await prune(store, Prunable.RAW, Bound(before=later(51)))).rows == 1
        async with store.begin(write=False) as work:
            assert len(await work.runs.reads(SOURCE)) == 1

    async def test_the_newest_payload_of_a_partition_stays(self, store: Store) -> None:
        """Of each partition of each source, whatever was read without a body since."""
        kept = []
        for source, partition in (("a", ""), ("a", "p"), ("b", "")):
            _, raws = await walk(store, 2, source=source, partition=partition)
            kept += raws
        await walk(store, 1, source="a", first=90, bodies=False)
        for bound in (Bound(before=LATE), Bound(max_bytes=0)):
            await prune(store, Prunable.RAW, bound)
            assert await _kept(store, kept) == [False, True] * 3

    async def test_a_payload_that_a_checkpoint_points_into_stays(self, store: Store) -> None:
        """A dead run goes on from it; once the position has moved on it may go."""
        _, raws = await walk(store, 3)
        facts = FetchFacts(later(0))
        position = SlicePosition(raws[0][0], 10, {"page": 2}, facts, ()).to_cursor()
        await _save_cursor(store, position, 0)
        await _save_cursor(store, {"$slice": {"raw_id": "damaged"}}, 0, partition="p")
        assert (await prunable(store, Prunable.RAW, Bound(before=LATE))).rows == 1
        assert (await prune(store, Prunable.RAW, Bound(before=LATE))).rows == 1
        assert await _kept(store, raws) == [True, False, True]
        await _save_cursor(store, {"page": 2}, 1)
        assert (await prune(store, Prunable.RAW, Bound(before=LATE))).rows == 1

    async def test_a_payload_of_an_open_rejection_stays(self, store: Store) -> None:
        """It is what a person looks at; once the rejection is resolved it may go, the rejection still naming it."""
        run_id, raws = await walk(store, 3)
        async with store.begin() as work:
            await work.rejections.add(SOURCE, "", run_id, raws[1][0], [rejection(1, key="k")], later(1))
            await work.commit()
        await prune(store, Prunable.RAW, Bound(before=LATE))
        assert await _kept(store, raws) == [False, True, True]
        async with store.begin() as work:
            await work.rejections.resolve(SOURCE, ["k"], later(1))
            await work.commit()
        await prune(store, Prunable.RAW, Bound(before=LATE))
        assert await _kept(store, raws) == [False, False, True]
        async with store.begin(write=False) as work:
            (left,) = await work.rejections.list(RejectionQuery())
        assert left.raw_id == raws[1][0]

    async def test_the_same_bytes_can_come_again(self, store: Store) -> None:
        """Under another raw_id, so that what names the pruned one leads nowhere for ever."""
        _, raws = await walk(store, 2)
        await prune(store, Prunable.RAW, Bound(before=LATE))
        _, again = await walk(store, 1, first=5)
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
                await work.runs.record_read(a_read(run.run_id, seq, found, later(seq)), counters=Counters())
            await work.commit()
        assert (await prune(store, Prunable.RAW, Bound(before=LATE))).rows == 1
        async with store.begin(write=False) as work:
            assert await work.raw.get(raw_id) is None
            assert await work.records.get(before.record_id) == before


async def _kept(store: Store, raws: Sequence[tuple[int, int]]) -> list[bool]:
    async with store.begin(write=False) as work:
        return [await work.raw.get(raw_id) is not None for raw_id, _ in raws]


async def _save_cursor(store: Store, cursor: Any, version: int, *, partition: str = "") -> None:
    async with store.begin() as work:
        await work.checkpoints.save(SOURCE, partition, cursor, expected_version=version, run_id=None, at=later(0))
        await work.commit()
