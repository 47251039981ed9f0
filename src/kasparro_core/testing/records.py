"""The contract of RecordRepository: what an upsert counts and leaves, and how records are read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kasparro_core.model import RecordQuery, UpsertOutcome
from kasparro_core.ports import Store
from kasparro_core.testing.apart import ApartContract
from kasparro_core.testing.build import SOURCE, bring_in, later, observe, prepared, record, table
from kasparro_core.testing.exactness import ExactnessContract
from kasparro_core.testing.history import HistoryContract
from kasparro_core.testing.order import OrderContract


class UpsertContract:
    """One upsert: outcomes, duplicates, sizes."""

    async def test_counts_each_record_once_as_inserted_updated_or_unchanged(self, store: Store) -> None:
        """The three outcomes are told apart and add up to the number of records given."""
        await observe(store, record("same", title="a"), record("moves", title="a"))
        outcome = await observe(
            store, record("same", title="a"), record("moves", title="b"), record("new", title="c"), seen=later(1)
        )
        assert outcome == UpsertOutcome(inserted=1, updated=1, unchanged=1)

    async def test_of_no_records_does_nothing(self, store: Store) -> None:
        """An empty upsert is allowed and counts nothing."""
        assert await observe(store) == UpsertOutcome(0, 0, 0)

    async def test_keeps_the_facts_of_the_first_observation(self, store: Store) -> None:
        """A new record has revision 1 and names the run, payload, place and instant that brought it."""
        await observe(store, record("other"), record("k", title="a"), seen=later(7))
        row = (await table(store))["k"]
        assert (row.revision, row.raw_index) == (1, 1)
        assert (row.first_seen_at, row.updated_at) == (later(7), later(7))
        assert row.run_id > 0
        assert row.raw_id is not None
        assert row.gone_at is None
        assert row.content_hash == prepared(record("k", title="a")).content_hash

    async def test_of_unchanged_content_writes_nothing_at_all(self, store: Store) -> None:
        """Seen again with the same content, a record keeps its run, payload, times, revision and change_seq."""
        await observe(store, record("k", title="a"))
        before = await table(store)
        assert await observe(store, record("k", title="a"), seen=later(60), history=True) == UpsertOutcome(0, 0, 1)
        assert await table(store) == before

    async def test_of_changed_content_belongs_to_the_observation_that_changed_it(self, store: Store) -> None:
        """An update raises revision and change_seq, moves run, payload and updated_at, keeps id and first_seen_at."""
        await observe(store, record("k", title="a"))
        before = (await table(store))["k"]
        await observe(store, record("k", title="b", attributes={"rank": 1}), seen=later(60))
        after = (await table(store))["k"]
        assert after.record.title == "b"
        assert after.record.attributes == {"rank": 1}
        assert (after.record_id, after.first_seen_at) == (before.record_id, before.first_seen_at)
        assert (after.revision, after.updated_at) == (2, later(60))
        assert after.change_seq > before.change_seq
        assert after.run_id > before.run_id
        assert after.raw_id != before.raw_id

    async def test_takes_null_for_a_value_that_is_gone(self, store: Store) -> None:
        """A field that became null is null afterwards, not what it was."""
        await observe(store, record("k", title="a", value=Decimal(5), currency="USD", url="https://x.example/"))
        await observe(store, record("k"), seen=later(1))
        assert (await table(store))["k"].record == record("k")

    async def test_treats_a_key_given_twice_as_two_records(self, store: Store) -> None:
        """Duplicates in one batch are brought in one after the other: the last one wins."""
        outcome = await observe(store, record("k", title="a"), record("k", title="b"), record("k", title="b"))
        assert outcome == UpsertOutcome(inserted=1, updated=1, unchanged=1)
        assert (await table(store))["k"].record.title == "b"

    async def test_counts_duplicates_that_go_back_and_forth(self, store: Store) -> None:
        """a, b, a over a stored a is one unchanged and two updates, and ends where it began."""
        await observe(store, record("k", title="a"))
        outcome = await observe(
            store, record("k", title="a"), record("k", title="b"), record("k", title="a"), seen=later(1)
        )
        assert outcome == UpsertOutcome(inserted=0, updated=2, unchanged=1)
        assert (await table(store))["k"].record.title == "a"

    async def test_orders_duplicates_by_occurrence(self, store: Store) -> None:
        """Of two states of one key in a batch the later occurred_at stays, whichever comes first."""
        outcome = await observe(
            store, record("k", title="new", occurred_at=later(9)), record("k", title="old", occurred_at=later(1))
        )
        assert outcome == UpsertOutcome(inserted=1, updated=0, unchanged=1)
        assert (await table(store))["k"].record.title == "new"

    async def test_keeps_sources_apart(self, store: Store) -> None:
        """One key in two sources is two records."""
        await observe(store, record("k", title="a", source="one"), source="one")
        outcome = await observe(store, record("k", title="b", source="two"), source="two")
        assert outcome == UpsertOutcome(1, 0, 0)
        assert (await table(store, "one"))["k"].record.title == "a"
        assert (await table(store, "two"))["k"].record.title == "b"

    async def test_tells_keys_apart_by_every_character(self, store: Store) -> None:
        """Case, trailing blanks, composed and decomposed letters and emoji make different keys."""
        keys = ["k", "K", "k ", "", "é", "e\u0301", "🜲", '["a","b"]', "k'", "%", "k\n", "-0", "0"]
        outcome = await observe(store, *(record(key, title=key) for key in keys))
        assert outcome == UpsertOutcome(len(keys), 0, 0)
        assert {key: row.record.title for key, row in (await table(store)).items()} == {key: key for key in keys}

    async def test_sees_its_own_uncommitted_records(self, store: Store) -> None:
        """A second upsert in one unit of work builds on the first."""
        async with store.begin() as work:
            await bring_in(work, [record("k", title="a")])
            outcome = await bring_in(work, [record("k", title="b"), record("l")], seen=later(1))
            await work.commit()
        assert outcome == UpsertOutcome(inserted=1, updated=1, unchanged=0)

    @pytest.mark.slow
    async def test_takes_any_number_of_records(self, store: Store) -> None:
        """100,000 rows in one upsert meet no limit on bound parameters: first new, then unchanged, then changed."""
        rows = [prepared(record(f"k{n}", value=Decimal(n), title="a"), n) for n in range(100_000)]
        assert await observe(store, *rows) == UpsertOutcome(100_000, 0, 0)
        changed = [prepared(record(f"k{n}", value=Decimal(n), title="b"), n) for n in range(50_000)]
        outcome = await observe(store, *changed, *rows[50_000:], seen=later(60), history=True)
        assert outcome == UpsertOutcome(0, 50_000, 50_000)
        async with store.begin(write=False) as work:
            assert await work.records.count(RecordQuery(source=SOURCE)) == 100_000

    async def test_takes_texts_of_any_length(self, store: Store) -> None:
        """A megabyte of text and attributes comes back as it was."""
        big = record("k" * 500, title="t" * 100_000, attributes={"content": "ü" * 1_000_000, "tags": ["a"] * 1000})
        await observe(store, big)
        assert [row.record for row in (await table(store)).values()] == [big]


class ReadContract:
    """get, page, count and change_seq."""

    async def test_get_of_an_unknown_record_is_none(self, store: Store) -> None:
        """No record is None, not an error, and has no versions."""
        async with store.begin(write=False) as work:
            assert await work.records.get(999_999) is None
            assert await work.records.versions(999_999) == []

    async def test_get_is_what_page_lists(self, store: Store) -> None:
        """Both ways to read a record give the same value."""
        await observe(store, record("k", title="a", value=Decimal("1.50"), attributes={"x": [1, None, True]}))
        row = (await table(store))["k"]
        async with store.begin(write=False) as work:
            assert await work.records.get(row.record_id) == row

    async def test_pages_walk_all_records_by_ascending_id(self, store: Store) -> None:
        """Pages follow one another without a gap or a repeat, while rows change in between."""
        await observe(store, *(record(f"k{n}") for n in range(10)))
        seen: list[int] = []
        after: int | None = None
        for step in range(4):
            async with store.begin(write=False) as work:
                page = await work.records.page(RecordQuery(), after=after, limit=3)
            seen += [row.record_id for row in page]
            after = page[-1].record_id
            await observe(store, record("k0", title=str(step)), record("k9", title=str(step)), seen=later(step + 1))
        assert len(seen) == len(set(seen)) == 10
        assert seen == sorted(seen)

    async def test_counts_all_records_or_those_of_one_source(self, store: Store) -> None:
        """count() is over everything, of a source over its records alone, 0 for an unknown one."""
        await observe(store, record("a", source="one"), record("b", source="one"), source="one")
        await observe(store, record("a", source="two"), source="two")
        async with store.begin(write=False) as work:
            assert await work.records.count() == 3
            assert await work.records.count(RecordQuery(source="one")) == 2
            assert await work.records.count(RecordQuery(source="none")) == 0

    async def test_filters_by_equal_fields(self, store: Store) -> None:
        """source, kind and symbol select exactly; None selects everything."""
        await observe(store, record("a", symbol="BTC"), record("b", kind="candle", symbol="BTC"), record("c"))
        await observe(store, record("d", source="two", symbol="BTC"), source="two")
        assert await _keys(store, RecordQuery()) == ["a", "b", "c", "d"]
        assert await _keys(store, RecordQuery(symbol="BTC")) == ["a", "b", "d"]
        assert await _keys(store, RecordQuery(source=SOURCE, kind="quote", symbol="BTC")) == ["a"]

    async def test_finds_titles_by_a_part_of_any_case(self, store: Store) -> None:
        """`q` is a part of the title, in any case of any script; %, _ and \\ mean themselves."""
        texts = ["Bitcoin", "ÜBER straße", "100%_sure\\", "1001xsure"]
        await observe(store, *(record(text, title=text) for text in texts), record("untitled Bitcoin"))
        for q, found in [("BIT", [0]), ("über", [1]), ("STRASSE", [1]), ("0%_s", [2]), ("E\\", [2]), ("100", [2, 3])]:
            assert await _keys(store, RecordQuery(q=q)) == [texts[n] for n in found]

    async def test_filters_by_inclusive_bounds(self, store: Store) -> None:
        """Both ends of a range of occurred_at or value belong to it; a missing value is in no range."""
        await observe(
            store,
            *(record(f"k{n}", value=Decimal(n), occurred_at=later(n)) for n in range(5)),
            record("none"),
        )
        assert await _keys(store, RecordQuery(start_date=later(1), end_date=later(3))) == ["k1", "k2", "k3"]
        assert await _keys(store, RecordQuery(min_value=Decimal("1.0"), max_value=Decimal("3.00"))) == [
            "k1",
            "k2",
            "k3",
        ]
        assert await _keys(store, RecordQuery(end_date=later(0))) == ["k0"]
        assert await _keys(store, RecordQuery(min_value=Decimal(4))) == ["k4"]

    async def test_filters_by_the_instant_of_the_last_change(self, store: Store) -> None:
        """updated_since includes its own instant and looks at changes, not at sightings."""
        await observe(store, record("old", title="a"), record("moved", title="a"))
        await observe(store, record("old", title="a"), record("moved", title="b"), seen=later(5))
        assert await _keys(store, RecordQuery(updated_since=later(5))) == ["moved"]
        assert await _keys(store, RecordQuery(updated_since=later(6))) == []

    async def test_compares_values_as_numbers(self, store: Store) -> None:
        """A bound compares by size over the whole range of decimals, never as text and never by way of a float."""
        values = [
            "-1E+30",
            "-2",
            "-1.5",
            "-1E-30",
            "0",
            "1E-1000",
            "9",
            "10",
            "1E+15",
            "1.000000000000000000000000001E+15",
        ]
        await observe(store, *(record(text, value=Decimal(text)) for text in values))
        for n, bound in enumerate(values):
            assert await _keys(store, RecordQuery(min_value=Decimal(bound))) == values[n:]
            assert await _keys(store, RecordQuery(max_value=Decimal(bound))) == values[: n + 1]

    async def test_change_seq_grows_with_each_change(self, store: Store) -> None:
        """Whoever asks for change_seq above the highest one seen gets exactly what changed since."""
        await observe(store, record("a", title="1"), record("b", title="1"), record("c", title="1"))
        seen = max(row.change_seq for row in (await table(store)).values())
        await observe(store, record("a", title="1"), record("b", title="2"), record("d"), seen=later(1))
        rows = (await table(store)).values()
        assert {row.record.key for row in rows if row.change_seq > seen} == {"b", "d"}
        assert len({row.change_seq for row in rows}) == len(rows)


class RecordRepositoryContract(
    UpsertContract, ApartContract, ReadContract, OrderContract, HistoryContract, ExactnessContract
):
    """Everything that RecordRepository promises. Needs a fixture `store`: migrated and empty."""


async def _keys(store: Store, query: RecordQuery) -> list[str]:
    async with store.begin(write=False) as work:
        return [row.record.key for row in await work.records.page(query)]
