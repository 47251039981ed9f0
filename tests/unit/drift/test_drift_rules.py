"""When a difference is a change: small runs, partial runs, keys that are data, and what is told once."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import MUTATIONS, mutated
from shapely import feed_document, market_rows, ticker_rows
from watched import Watched, feed_payload, json_payload

from kasparro_core.drift import (
    ItemStyle,
    Known,
    Memory,
    Seen,
    Shape,
    changes,
    conclude,
    document_of,
    joined,
    learned,
    observe,
    sampled,
    told,
    trace,
)
from kasparro_core.drift.observe import kind_of
from kasparro_core.drift.rules import Rules
from kasparro_core.drift.shape import MOST_PLACES
from kasparro_core.model import RawRecord, Trigger
from kasparro_core.model.drift import DriftRule
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.testing.build import later

Rows = list[dict[str, Any]]


def shape(rows: Rows, style: ItemStyle = ItemStyle.JSON) -> Shape:
    """The shape of rows, with traces."""
    items = [RawRecord(index, row) for index, row in enumerate(rows)]
    seen = observe(items, style)
    trace(seen, sampled(items), style)
    return seen


def difference(before: Rows, after: Rows, style: ItemStyle = ItemStyle.JSON) -> list[tuple[str, str]]:
    """What one run over `after` tells when one over `before` is remembered."""
    old, new = learned(Shape(), shape(before, style)), shape(after, style)
    found = changes(old, new, Rules.of(style, new.count, old.count))
    return [(str(change.change), change.place) for change in told(found)]


def rows(count: int, **fields: Any) -> Rows:
    """Items with an id and these fields."""
    return [{"id": f"k{n}", **fields} for n in range(count)]


CASES = [
    pytest.param(rows(40, a=1), rows(40), [("removed", "a")], id="gone"),
    pytest.param(rows(40, a=1), rows(36, a=1) + rows(4), [("removed", "a")], id="gone in a tenth"),
    pytest.param(rows(400, a=1), rows(398, a=1) + rows(2), [], id="missing in two"),
    pytest.param(rows(20, a=1) + rows(20), rows(40), [], id="optional, and absent from a small run"),
    pytest.param(rows(80, a=1) + rows(20), rows(100), [("removed", "a")], id="usual, and gone from a whole run"),
    pytest.param(rows(80, a=1) + rows(20), rows(49), [], id="usual, and absent from a part"),
    pytest.param(rows(40), rows(40, a=None), [("added", "a")], id="new, though null"),
    pytest.param(rows(40), rows(39) + rows(1, a=1), [], id="in one item"),
    pytest.param(rows(40, a=1), rows(40, a="1"), [("retyped", "a")], id="a number as text"),
    pytest.param(rows(40, a=None), rows(40, a="x"), [], id="a field that was never anything"),
    pytest.param(rows(40, a=None), rows(40, a={"b": 1}), [], id="an object for the first time"),
    pytest.param(rows(200, a=1), rows(200, a=None), [("nullability", "a")], id="null"),
    pytest.param(
        rows(100, a=1) + rows(100, a=None), rows(200, a=None), [("nullability", "a")], id="never filled again"
    ),
    pytest.param(rows(100, a=1) + rows(100, a=None), rows(60, a=None), [], id="null in a part"),
    pytest.param(rows(40, t=[]), rows(40, t=[1]), [], id="a list that was always empty"),
    pytest.param(rows(40, t=[{"n": "x"}]), rows(40, t=[{}]), [("removed", "t[].n")], id="in the objects of a list"),
    pytest.param(rows(40, t=["x"]), rows(40, t=[1]), [("retyped", "t[]")], id="elements of a list"),
    pytest.param(rows(40, m={"usd": 1}), rows(40, m={"eur": 1, "jpy": 2}), [], id="currencies"),
    pytest.param(rows(40, m={"2024-01-01": 1}), rows(40, m={"2024-01-02": 1}), [], id="days"),
    pytest.param(rows(40, m={"USD": {"p": 1}}), rows(40, m={"XYZ": {"p": 1}}), [], id="codes of anything"),
    pytest.param(
        rows(40, m={"a": {"p": 1}}), rows(40, m={"b": {"p": 1}}), [("renamed", "m.a")], id="names are no data"
    ),
    pytest.param(
        rows(40, m={"USD": {"p": 1}, "EUR": {"p": 1}}),
        rows(40, m={"USD": {"p": "1"}, "EUR": {"p": "1"}}),
        [("retyped", "m.*.p")],
        id="the same under every key is one",
    ),
    pytest.param(
        rows(40, a=1, b="x"), rows(40, c="new"), [("added", "c"), ("removed", "a"), ("removed", "b")], id="three"
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), CASES)
def test_what_counts(before: Rows, after: Rows, expected: list[tuple[str, str]]) -> None:
    """Enough items, a share of them, and a memory that is sure: then a difference is a change."""
    assert sorted(difference(before, after)) == expected


def test_an_object_with_ever_other_keys_is_a_map() -> None:
    """Identifiers as keys: neither are they told, nor is each of them remembered."""
    before = [{"id": n, "by_id": {f"x{n}_{k}": {"v": 1} for k in range(4)}} for n in range(100)]
    after = [{"id": n, "by_id": {f"y{n}_{k}": {"v": 1} for k in range(4)}} for n in range(100)]
    assert difference(before, after) == []
    lost = [{"id": n, "by_id": {f"y{n}_{k}": {} for k in range(4)}} for n in range(100)]
    assert difference(before, lost) == [("removed", "by_id.*.v")]


async def test_small_runs_are_judged_together() -> None:
    """A source of one item: its field is missed when it was absent three times, and told once."""
    watched = Watched("json")
    for _ in range(25):
        await watched.run(json_payload([{"id": "only", "price": 1, "name": "x"}]))
    told_after = []
    for _ in range(6):
        await watched.run(json_payload([{"id": "only", "name": "x"}]))
        told_after.append(len(await watched.changes()))
    assert told_after == [0, 0, 1, 1, 1, 1]
    assert await watched.changes() == [("removed", "price")]


async def test_a_change_and_its_way_back_are_two_events() -> None:
    """What is there again after it was told to be gone is new."""
    watched = Watched("json")
    with_price, without = json_payload(rows(40, price=1)), json_payload(rows(40))
    for each in (with_price, without, without, with_price, with_price):
        await watched.run(each)
    assert await watched.changes() == [("removed", "price"), ("added", "price")]
    assert [version.version for version in await watched.versions()] == [1, 2, 3]


async def test_a_settled_source_writes_nothing() -> None:
    """From a thousand items on, a run that says what was known leaves the stored shape as it is."""
    watched = Watched("json")
    for _ in range(5):
        await watched.run(json_payload(market_rows(300)))
    before = await watched.versions()
    await watched.run(json_payload(market_rows(300, tick=3)))
    assert await watched.versions() == before


async def test_what_happened_long_ago_is_not_judged() -> None:
    """The windows of a backfill neither teach nor tell anything."""
    watched = Watched("json")
    await watched.run(json_payload(rows(40, price=1)))
    before = await watched.versions()
    await watched.run(json_payload(rows(40)), trigger=Trigger.BACKFILL)
    assert await watched.changes() == []
    assert await watched.versions() == before


NUMBERS = ["1", "-1.5e-7", " 2 ", "1e5", "1_000", "1,234.5", "79.9K", "-1.27%", "٣"]
NOTHINGS = ["", " ", "-", "N/A", " n/a ", "nan", "NULL"]
TEXTS = ["1,5", "2024-01-01", "inf", "1 2", "x"]
CELLS = st.sampled_from([*NUMBERS, *NOTHINGS, *TEXTS])


@given(st.lists(CELLS | st.text(max_size=6), min_size=1, max_size=20))
def test_cells_are_of_one_kind_alone_or_in_a_column(column: list[str]) -> None:
    """Whatever stands beside it, a cell counts as what it is by itself: also one of several lines, or of odd blanks."""
    seen = shape([{"a": cell} for cell in column], ItemStyle.CELLS)
    alone = Counter(kind_of(cell, ItemStyle.CELLS) for cell in column)
    assert seen.fields["a"].kinds == alone


@pytest.mark.parametrize(("cells", "kind"), [(NUMBERS, "number"), (NOTHINGS, "null"), (TEXTS, "text")])
def test_what_a_cell_is(cells: list[str], kind: str) -> None:
    """Numbers as programs and spreadsheets write them, nothing in its usual spellings, and text."""
    assert {cell: kind_of(cell, ItemStyle.CELLS) for cell in cells} == dict.fromkeys(cells, kind)


JSON_MUTATIONS = [each for each in MUTATIONS if each.source in {"coingecko", "coinpaprika"}]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(JSON_MUTATIONS), st.randoms(use_true_random=False), st.integers(1, 70))
def test_neither_order_nor_batches_matter(mutation: Any, draw: Any, batch: int) -> None:
    """The same items in another order and other batches: the same shape to the last count, and the same verdict."""
    before = market_rows(60) if mutation.source == "coingecko" else ticker_rows(60)
    known = conclude(Known("s"), Seen(shape(before * 2)), ItemStyle.JSON, DriftRule.EVOLVE, 1, later(1))
    after = mutated(before, mutation)
    mixed = draw.sample(after, len(after))
    whole, parts, sample = shape(after), Shape(), {}
    for at in range(0, len(mixed), batch):
        items = [RawRecord(index, row) for index, row in enumerate(mixed[at : at + batch])]
        parts.add_items(observe(items, ItemStyle.JSON))
        sample = joined(sample, sampled(items))
    trace(parts, sample, ItemStyle.JSON)
    assert parts == whole
    verdicts = [
        conclude(Known("s", known.version), Seen(seen), ItemStyle.JSON, DriftRule.EVOLVE, 2, later(2)).told
        for seen in (whole, parts)
    ]
    assert verdicts[0] == verdicts[1]
    assert [(str(each.change), each.place) for each in verdicts[0]] == [mutation.event]


async def test_a_feed_that_is_new_in_a_list_is_no_change() -> None:
    """What the feeds before it all had and it has not is optional from then on; what it loses later is told."""
    watched = Watched("feed")
    tagged = feed_document(30).replace("</item>", "<author>Anna</author></item>")
    plain, untitled = feed_document(30), re.sub("<item><title>.*?</title>", "<item>", feed_document(30))
    for partition, document in (("a", tagged), ("b", plain), ("b", plain), ("a", tagged), ("b", plain)):
        watched.source.partition = partition
        await watched.run(feed_payload(document.encode()))
        assert await watched.changes() == []
    await watched.run(feed_payload(untitled.encode()))
    assert await watched.changes() == [("removed", "title")]


def test_a_flood_of_names_does_not_fill_the_memory() -> None:
    """Objects with ever other keys inside of one another, and a table of thousands of columns: few places remain."""
    deep = [{"id": n, "a": {f"x{n % 150}": {f"y{n % 149}": {f"z{n}": 1}}}} for n in range(5_000)]
    wide = [{f"c{n}": 1 for n in range(4_000)}]
    for flood in (deep, wide):
        memory = learned(Shape(), shape(flood))
        assert memory.places() <= MOST_PLACES
        assert len(canonical_json(document_of(Memory(memory)))) < 1_000_000
        assert difference(flood, flood) == []
