"""The contract of what stores keep of listings: records that are gone and come back, and the reads of a listing."""

from __future__ import annotations

from datetime import datetime

import pytest

from kasparro_core.model import (
    NOTHING,
    BatchRead,
    Counters,
    Extent,
    Present,
    RecordQuery,
    Trigger,
    UpsertOutcome,
)
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, later, observe, payload, record, table, versions


class GoneContract:
    """Needs the fixture `store`: an empty Store."""

    async def test_marks_what_is_gone_and_nothing_else_of_it(self, store: Store) -> None:
        """gone_at is set and change_seq moves, each record's to a number of its own; content, times and revision stay,
        and so does everything else in the table."""
        await observe(store, record("a", title="1"), record("b", title="2"), record("c"), record("d"))
        before = await table(store)
        assert await _lose(store, "b", "d", at=later(9)) == 2
        after = await table(store)
        for key in ("a", "c"):
            assert after[key] == before[key]
        newest = max(row.change_seq for row in before.values())
        for key in ("b", "d"):
            assert after[key].gone_at == later(9)
            assert (after[key].updated_at, after[key].revision) == (before[key].updated_at, 1)
            assert after[key].record == before[key].record
        assert newest < after["b"].change_seq < after["d"].change_seq

    async def test_tells_it_in_the_change_feed_and_the_filter(self, store: Store) -> None:
        """Who follows the changes hears of it once, and `gone` tells the two apart."""
        await observe(store, record("a"), record("b"))
        async with store.begin(write=False) as work:
            seen = await work.records.last_change()
        await _lose(store, "a", at=later(9))
        async with store.begin(write=False) as work:
            assert [row.record.key for row in await work.records.changes(RecordQuery(), after_seq=seen)] == ["a"]
            assert [row.record.key for row in await work.records.page(RecordQuery(gone=True))] == ["a"]
            assert [row.record.key for row in await work.records.page(RecordQuery(gone=False))] == ["b"]

    async def test_marks_a_gone_one_no_second_time(self, store: Store) -> None:
        """The first instant stays, and what is gone already or does not exist is not counted."""
        await observe(store, record("a"), record("b"))
        assert await _lose(store, "a", at=later(5)) == 1
        before = await table(store)
        assert await _lose(store, "a", at=later(9)) == 0
        assert await table(store) == before
        async with store.begin() as work:
            assert await work.records.mark_gone([], later(9)) == 0
            assert await work.records.mark_gone([10**9], later(9)) == 0
            await work.commit()

    async def test_lists_what_is_present_in_order_and_in_parts(self, store: Store) -> None:
        """Ids and keys of one source's records that are not gone, in ascending record_id, and which of them stood
        before an instant: first seen before it, not at it."""
        await observe(store, record("z"), record("gone"), record("a"))
        await observe(store, record("z", source="other"), source="other")
        await observe(store, record("m"), seen=later(3))
        await _lose(store, "gone", at=later(5))
        rows = await table(store)
        expected = [Present(rows[key].record_id, key, key != "m") for key in ("z", "a", "m")]
        async with store.begin(write=False) as work:
            assert list(await work.records.present(SOURCE, later(3))) == expected
            assert not any(row.stood for row in await work.records.present(SOURCE, later(0)))
            assert all(row.stood for row in await work.records.present(SOURCE, later(4)))
            first = await work.records.present(SOURCE, later(3), limit=2)
            assert list(first) == expected[:2]
            rest = await work.records.present(SOURCE, later(3), after=first[-1].record_id, limit=2)
            assert list(rest) == expected[2:]
            assert list(await work.records.present("nobody", later(3))) == []
            lost = [Present(rows["gone"].record_id, "gone", True)]
            assert list(await work.records.present(SOURCE, later(3), gone=True)) == lost

    async def test_an_unchanged_one_that_is_seen_again_is_present_again(self, store: Store) -> None:
        """It counts as updated and moves change_seq; content, updated_at and revision stay, and no version comes of
        it. Seen once more it is unchanged."""
        await observe(store, record("a", title="1"), record("b"), history=True)
        before = (await table(store))["a"]
        await _lose(store, "a", "b", at=later(5))
        lost = (await table(store))["a"]
        assert await observe(store, record("a", title="1"), seen=later(6), history=True) == UpsertOutcome(updated=1)
        after = await table(store)
        assert after["a"].gone_at is None
        assert after["a"].change_seq > lost.change_seq
        assert (after["a"].updated_at, after["a"].revision) == (before.updated_at, before.revision)
        assert after["b"].gone_at == later(5)
        assert await versions(store, "a") == []
        assert await observe(store, record("a", title="1"), seen=later(7), history=True) == UpsertOutcome(unchanged=1)

    async def test_a_changed_one_that_is_seen_again_is_present_again(self, store: Store) -> None:
        """With its new content, as any update."""
        await observe(store, record("a", title="1"))
        await _lose(store, "a", at=later(5))
        assert await observe(store, record("a", title="2"), seen=later(6)) == UpsertOutcome(updated=1)
        row = (await table(store))["a"]
        assert (row.gone_at, row.record.title, row.revision) == (None, "2", 2)

    @pytest.mark.parametrize("history", [False, True])
    async def test_a_late_state_shows_that_it_is_there(self, store: Store, *, history: bool) -> None:
        """An older occurred_at leaves the content as it is, and what was seen now is not gone."""
        await observe(store, record("a", title="new", occurred_at=later(3)), history=history)
        await _lose(store, "a", at=later(5))
        late = record("a", title="old", occurred_at=later(1))
        assert await observe(store, late, seen=later(6), history=history) == UpsertOutcome(updated=1)
        row = (await table(store))["a"]
        assert (row.gone_at, row.record.title, row.revision) == (None, "new", 1)
        assert [version.record.title for version in await versions(store, "a")] == (["old"] if history else [])

    async def test_counts_each_item_of_a_key_that_comes_back_twice(self, store: Store) -> None:
        """The first one brings it back, the second one finds it unchanged."""
        await observe(store, record("a", title="1"))
        await _lose(store, "a", at=later(5))
        outcome = await observe(store, record("a", title="1"), record("a", title="1"), seen=later(6))
        assert outcome == UpsertOutcome(updated=1, unchanged=1)
        assert (await table(store))["a"].gone_at is None

    @pytest.mark.parametrize("title", ["1", "by other rules"])
    async def test_what_was_seen_before_it_went_does_not_bring_it_back(self, store: Store, title: str) -> None:
        """A replay reads what came before: whether it finds the same or writes it anew, the record stays gone."""
        await observe(store, record("a", title="1"), seen=later(1))
        await _lose(store, "a", at=later(5))
        await observe(store, record("a", title=title), seen=later(1))
        row = (await table(store))["a"]
        assert (row.gone_at, row.record.title) == (later(5), title)

    async def test_many_go_and_come_back(self, store: Store) -> None:
        """Ten thousand and more in one unit of work, each with a change_seq of its own."""
        keys = [f"k{n}" for n in range(10_050)]
        await observe(store, *map(record, keys))
        assert await _lose(store, *keys, at=later(5)) == len(keys)
        assert len({row.change_seq for row in (await table(store)).values()}) == len(keys)
        assert await observe(store, *map(record, keys), seen=later(6)) == UpsertOutcome(updated=len(keys))
        async with store.begin(write=False) as work:
            assert await work.records.count(RecordQuery(gone=True)) == 0


class ListingContract:
    """Needs the fixture `store`: an empty Store."""

    async def test_a_read_keeps_where_in_a_listing_it_stands(self, store: Store) -> None:
        """Extent and what it is the same as come back as they went in."""
        await _read(store, [(Extent.FIRST, None), (Extent.PART, NOTHING), (Extent.LAST | Extent.LIVE, "abc:def")])
        async with store.begin(write=False) as work:
            found = [(read.extent, read.same_as) for read in await work.runs.listing(SOURCE, "")]
        assert found == [(Extent.FIRST, None), (Extent.PART, NOTHING), (Extent.LAST | Extent.LIVE, "abc:def")]

    async def test_a_listing_begins_at_its_newest_first_read(self, store: Store) -> None:
        """What was read before belongs to another one; what was read since, by whatever run, belongs to it."""
        await _read(store, [(Extent.WHOLE, "1"), (Extent.PART, "2"), (Extent.FIRST, "3"), (Extent.PART, "4")])
        await _read(store, [(Extent.PART, "5"), (Extent.LAST, "6")])
        await _read(store, [(Extent.PART, "7")])
        await _read(store, [(Extent.WHOLE, "other")], partition="p")
        await _read(store, [(Extent.WHOLE, "other")], source="other")
        assert await _listing(store) == ["3", "4", "5", "6", "7"]
        assert await _listing(store, partition="p") == ["other"]
        assert await _listing(store, source="other") == ["other"]

    async def test_without_a_first_read_there_is_no_listing(self, store: Store) -> None:
        """Not in an empty ledger, and not where only parts were read."""
        assert await _listing(store) == []
        await _read(store, [(Extent.PART, "1"), (Extent.LAST, "2")])
        assert await _listing(store) == []

    async def test_a_payload_is_found_by_what_it_is_known_by(self, store: Store) -> None:
        """In its own partition alone, with its exact bytes."""
        packed, other = payload("a"), payload("b")
        async with store.begin() as work:
            raw_id = await work.raw.put(SOURCE, "p", packed)
            await work.raw.put(SOURCE, "p", other)
            await work.commit()
        async with store.begin(write=False) as work:
            found = await work.raw.find(SOURCE, "p", packed.identity)
            assert found == await work.raw.get(raw_id)
            for place in ((SOURCE, "", packed.identity), ("x", "p", packed.identity), (SOURCE, "p", "no:such")):
                assert await work.raw.find(*place) is None


async def _lose(store: Store, *keys: str, at: datetime) -> int:
    """Mark records of SOURCE as gone."""
    rows = await table(store)
    async with store.begin() as work:
        count = await work.records.mark_gone([rows[key].record_id for key in keys], at)
        await work.commit()
    return count


async def _read(
    store: Store, reads: list[tuple[Extent, str | None]], *, source: str = SOURCE, partition: str = ""
) -> None:
    """A run with these reads."""
    async with store.begin() as work:
        run = await work.runs.start(source, Trigger.CLI, later(0))
        for seq, (extent, same_as) in enumerate(reads, 1):
            read = BatchRead(run.run_id, partition, seq, None, None, 304, later(seq), extent=extent, same_as=same_as)
            await work.runs.record_read(read, counters=Counters())
        await work.commit()


async def _listing(store: Store, *, source: str = SOURCE, partition: str = "") -> list[str | None]:
    async with store.begin(write=False) as work:
        return [read.same_as for read in await work.runs.listing(source, partition)]
