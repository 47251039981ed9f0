"""The contract of how records are read: orders, places, filters, the feed of changes, counts.

Hypothesis compares every answer with a plain sort and filter over all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro_core.model import (
    EVERY_RECORD,
    NEWEST_FIRST,
    Order,
    Place,
    Record,
    RecordQuery,
    SortField,
    StoredRecord,
)
from kasparro_core.model.entity import AssetId, Entity
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, bring_in, later, observe, record, table
from kasparro_core.testing.entities import link
from kasparro_core.testing.strategies import decimals, instants

ORDERS = tuple(Order(field, descending) for field in SortField for descending in (False, True))
_numbers = count()

_records = st.builds(
    lambda key, kind, symbol, title, value, occurred: record(
        key, kind=kind, symbol=symbol, title=title, value=value, occurred_at=occurred
    ),
    st.sampled_from([f"k{n}" for n in range(12)]),
    st.sampled_from(["quote", "candle"]),
    st.sampled_from([None, "BTC", "ETH"]),
    st.sampled_from([None, "Bitcoin", "ÜBER coin", "100%"]),
    st.none() | decimals() | st.sampled_from([Decimal(text) for text in ("-12", "-1.5", "0", "2", "1E+1", "2.0")]),
    st.none() | instants() | st.integers(0, 3).map(later),
)
_queries = st.builds(
    RecordQuery,
    kind=st.sampled_from([None, None, "quote"]),
    symbol=st.sampled_from([None, None, "BTC"]),
    q=st.sampled_from([None, None, "COIN", "%"]),
    start_date=st.none() | st.integers(0, 3).map(later),
    end_date=st.none() | st.integers(0, 3).map(later),
    updated_since=st.none() | st.integers(60, 62).map(later),
    min_value=st.none() | st.sampled_from([Decimal(-2), Decimal("1.50")]),
    max_value=st.none() | st.sampled_from([Decimal(2), Decimal("-1.5")]),
    gone=st.sampled_from([None, None, False, True]),
)


class RecordQueryContract:
    """The reading methods of RecordRepository. Needs a fixture `store`: migrated and empty."""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
    @given(
        batches=st.lists(st.lists(_records, max_size=12), min_size=1, max_size=3),
        query=_queries,
        order=st.sampled_from(ORDERS),
        limit=st.integers(1, 5),
    )
    async def test_pages_are_those_of_a_plain_sort_and_filter(
        self, store: Store, batches: list[list[Record]], query: RecordQuery, order: Order, limit: int
    ) -> None:
        """Whatever is stored, asked for and sorted by: page after page is what Python sorts and filters out of it all,
        by places as by offsets, and so are the feed of changes and the counts."""
        source = f"plain-{next(_numbers)}"
        for n, batch in enumerate(batches):
            await observe(store, *(item._replace(source=source) for item in batch), seen=later(60 + n), source=source)
        query = replace(query, source=source)
        wanted = _plainly([row for row in (await table(store, source)).values() if _matches(row, query)], order)
        assert await _paged(store, query, order, limit) == wanted
        async with store.begin(write=False) as work:
            for offset in (0, 1, len(wanted) // 2, len(wanted), len(wanted) + 3):
                page = await work.records.select(query, order=order, offset=offset, limit=limit)
                assert page == wanted[offset : offset + limit]
            changed = sorted(wanted, key=lambda row: row.change_seq)
            assert await work.records.changes(query, after_seq=0, limit=100) == changed
            assert await work.records.count(query) == await work.records.estimate(query) == len(wanted)

    @pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{'-' * order.descending}{order.field}")
    async def test_nulls_are_last_both_ways_and_equal_ones_follow_their_ids(self, store: Store, order: Order) -> None:
        """Ascending or descending, records without the value come last; ties go in the order's direction."""
        await observe(
            store,
            record("none"),
            record("one", value=Decimal(1), occurred_at=later(1)),
            record("none too"),
            record("nine", value=Decimal(9), occurred_at=later(9)),
            record("one too", value=Decimal("1.0"), occurred_at=later(1)),
        )
        listed = {
            SortField.RECORD_ID: ["none", "one", "none too", "nine", "one too"],
            SortField.UPDATED_AT: ["none", "one", "none too", "nine", "one too"],
            SortField.OCCURRED_AT: ["one", "one too", "nine", "none", "none too"],
            SortField.VALUE: ["one", "one too", "nine", "none", "none too"],
        }[order.field]
        if order.descending:
            known = 3 if order.field in (SortField.OCCURRED_AT, SortField.VALUE) else 5
            listed = listed[:known][::-1] + listed[known:][::-1]
        for limit in (1, 2, 5):
            assert [row.record.key for row in await _paged(store, EVERY_RECORD, order, limit)] == listed

    async def test_newest_first_is_the_order_when_none_is_given(self, store: Store) -> None:
        """Without an order, the latest record_id comes first."""
        await observe(store, record("a"), record("b"), record("c"))
        async with store.begin(write=False) as work:
            page = await work.records.select(EVERY_RECORD, limit=2)
            rest = await work.records.select(EVERY_RECORD, after=NEWEST_FIRST.place_of(page[-1]))
        assert [row.record.key for row in page + rest] == ["c", "b", "a"]

    @pytest.mark.parametrize("order", ORDERS, ids=str)
    async def test_a_place_needs_no_record(self, store: Store, order: Order) -> None:
        """What a place was taken from may have changed or gone since: reading goes on where it was."""
        await observe(store, *(record(f"k{n}", value=Decimal(n), occurred_at=later(n)) for n in (1, 2, 4, 5)))
        async with store.begin(write=False) as work:
            rows = await work.records.select(EVERY_RECORD, order=order)
            place = order.place_of(rows[1])
            between = {
                SortField.OCCURRED_AT: Place(place.record_id, later(3)),
                SortField.VALUE: Place(place.record_id, Decimal(3)),
            }.get(order.field, place)
            assert await work.records.select(EVERY_RECORD, order=order, after=between) == rows[2:]

    async def test_reads_each_record_once_while_others_change_it(self, store: Store) -> None:
        """In the default order each record that is there at the start comes once, whatever is written meanwhile."""
        await observe(store, *(record(f"k{n}") for n in range(9)))
        seen: list[str] = []
        after: Place | None = None
        while True:
            async with store.begin(write=False) as work:
                page = await work.records.select(EVERY_RECORD, after=after, limit=2)
            if not page:
                break
            seen += [row.record.key for row in page]
            after = NEWEST_FIRST.place_of(page[-1])
            step = len(seen)
            await observe(store, record("k0", title=f"{step}"), record(f"new{step}"), seen=later(step))
        assert seen == [f"k{n}" for n in reversed(range(9))]

    async def test_the_change_feed_gives_what_changed_since(self, store: Store) -> None:
        """Each record comes once, at its latest change, in the order of changes; unchanged ones do not come again."""
        async with store.begin(write=False) as work:
            assert await work.records.last_change() == 0
            assert await work.records.changes(EVERY_RECORD, after_seq=0) == []
        await observe(store, record("a"), record("b"), record("c"))
        async with store.begin(write=False) as work:
            first = await work.records.changes(EVERY_RECORD, after_seq=0, limit=2)
            rest = await work.records.changes(EVERY_RECORD, after_seq=first[-1].change_seq)
            last = await work.records.last_change()
        assert [row.record.key for row in first + rest] == ["a", "b", "c"]
        assert last == rest[-1].change_seq
        await observe(store, record("c"), record("a", title="x"), record("d"), seen=later(1))
        await observe(store, record("a", title="y"), seen=later(2))
        async with store.begin(write=False) as work:
            assert [row.record.key for row in await work.records.changes(EVERY_RECORD, after_seq=last)] == ["d", "a"]

    async def test_the_last_change_belongs_to_the_same_view(self, store: Store) -> None:
        """A unit of work that reads sees the number of the last change that it can see itself."""
        await observe(store, record("a"))
        async with store.begin(write=False) as work:
            before = await work.records.last_change()
            rows = await work.records.changes(EVERY_RECORD, after_seq=0)
        async with store.begin() as work:
            await bring_in(work, [record("b")])
            assert await work.records.last_change() > before
        async with store.begin(write=False) as work:
            assert await work.records.last_change() == before == rows[-1].change_seq

    async def test_counts_what_a_query_finds(self, store: Store) -> None:
        """A count takes every filter; an estimate of a few records is exact."""
        await observe(store, *(record(f"k{n}", symbol="BTC" if n % 2 else None, value=Decimal(n)) for n in range(9)))
        asked = {
            EVERY_RECORD: 9,
            RecordQuery(source=SOURCE): 9,
            RecordQuery(source="other"): 0,
            RecordQuery(symbol="BTC", min_value=Decimal(3)): 3,
            RecordQuery(gone=False): 9,
            RecordQuery(gone=True): 0,
            RecordQuery(entity="none"): 0,
        }
        async with store.begin(write=False) as work:
            assert {query: await work.records.count(query) for query in asked} == asked
            assert {query: await work.records.estimate(query) for query in asked} == asked

    async def test_filters_by_entity(self, store: Store) -> None:
        """The records of an entity are those whose source and external_id are linked to it, in every order."""
        await link(store, Entity("seven", "asset"), (SOURCE, "btc"), ("two", "btc"), (SOURCE, "x"))
        await link(store, Entity("eight", "asset"), ("three", "btc"))
        await observe(store, record("a", external_id="btc"), record("b", external_id="eth"), record("btc"))
        for source in ("two", "three"):
            await observe(store, record("a", source=source, external_id="btc"), source=source)
        query = RecordQuery(entity="seven")
        for order in ORDERS:
            found = await _paged(store, query, order, 1)
            assert sorted(row.record.source for row in found) == [SOURCE, "two"]
            assert {row.record.external_id for row in found} == {"btc"}
        async with store.begin(write=False) as work:
            assert await work.records.count(query) == await work.records.estimate(query) == 2
            assert len(await work.records.changes(query, after_seq=0)) == 2
            assert await work.records.count(replace(query, source=SOURCE)) == 1
            assert await work.records.count(RecordQuery(entity="nine")) == 0

    async def test_a_merged_entity_is_that_which_it_was_merged_into(self, store: Store) -> None:
        """Its id finds the records of the other one, page by page and counted; an id that never was finds none."""
        await link(store, Entity("seven", "asset"), (SOURCE, "btc"), (SOURCE, "xbt"))
        await link(store, Entity("six", "asset", merged_into="seven"))
        await observe(store, record("a", external_id="btc"), record("b", external_id="xbt"), record("c"))
        for order in ORDERS:
            found = await _paged(store, RecordQuery(entity="six"), order, 1)
            assert sorted(row.record.key for row in found) == ["a", "b"]
        async with store.begin(write=False) as work:
            assert await work.records.count(RecordQuery(entity="six")) == 2

    async def test_the_latest_record_of_an_asset(self, store: Store) -> None:
        """The one that occurred last, of equal ones the one that came last; one without an instant if all are."""
        await observe(
            store,
            record("new", external_id="a", occurred_at=later(9)),
            record("old", external_id="a", occurred_at=later(3)),
            record("undated", external_id="a"),
            record("first", external_id="é", occurred_at=later(1)),
            record("second", external_id="é", occurred_at=later(1)),
            record("never", external_id="n"),
            record("never again", external_id="n"),
            record("a"),
        )
        await observe(store, record("new", source="two", external_id="a"), source="two")
        wanted = [("two", "a"), (SOURCE, "é"), (SOURCE, "n"), (SOURCE, "b"), (SOURCE, "a"), (SOURCE, "a"), (SOURCE, "")]
        async with store.begin(write=False) as work:
            found = await work.records.latest([AssetId(*asset) for asset in wanted])
            assert [(row.record.source, row.record.key) for row in found] == [
                (SOURCE, "new"), (SOURCE, "never again"), (SOURCE, "second"), ("two", "new"),
            ]  # fmt: skip
            assert found[0] == (await work.records.get(found[0].record_id))
            many = await work.records.latest([AssetId(SOURCE, str(number)) for number in range(300)])
            assert list(many) == []


async def _paged(store: Store, query: RecordQuery, order: Order, limit: int) -> list[StoredRecord]:
    """All pages of a query, each behind the last record of the one before."""
    rows: list[StoredRecord] = []
    async with store.begin(write=False) as work:
        after: Place | None = None
        while page := await work.records.select(query, order=order, after=after, limit=limit):
            assert len(page) <= limit
            rows += page
            after = order.place_of(page[-1])
    return rows


def _plainly(rows: Sequence[StoredRecord], order: Order) -> list[StoredRecord]:
    """Sorted as an Order says."""
    known = [row for row in rows if _value(row, order.field) is not None]
    unknown = [row for row in rows if _value(row, order.field) is None]
    known.sort(key=lambda row: (_value(row, order.field), row.record_id), reverse=order.descending)
    unknown.sort(key=lambda row: row.record_id, reverse=order.descending)
    return known + unknown


def _value(row: StoredRecord, field: SortField) -> Any:
    return getattr(row if hasattr(row, field) else row.record, field)


def _matches(row: StoredRecord, query: RecordQuery) -> bool:
    content = row.record
    wanted = {name: getattr(query, name) for name in ("source", "kind", "symbol")}
    return (
        all(value in (None, getattr(content, name)) for name, value in wanted.items())
        and (query.q is None or (content.title is not None and query.q.casefold() in content.title.casefold()))
        and _is_between(query.start_date, content.occurred_at, query.end_date)
        and _is_between(query.updated_since, row.updated_at, None)
        and _is_between(query.min_value, content.value, query.max_value)
        and query.gone is not True
    )


def _is_between(low: Any, value: Any, high: Any) -> bool:
    return (low is None or (value is not None and low <= value)) and (
        high is None or (value is not None and value <= high)
    )
