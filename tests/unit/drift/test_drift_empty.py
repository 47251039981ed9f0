"""How empty items are, by path, from the counts of their shape."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kasparro_core.drift import ItemStyle, null_rates, observe
from kasparro_core.drift.shape import MOST_FIELDS
from kasparro_core.model import RawRecord, RunFacts


def rates(*items: dict[str, Any], style: ItemStyle = ItemStyle.JSON) -> dict[str, Decimal]:
    found, cut = null_rates(observe([RawRecord(n, item) for n, item in enumerate(items)], style))
    assert not cut
    return dict(found)


def test_null_and_absent_are_both_nothing() -> None:
    """The share is one of all items, six digits behind the point."""
    found = rates({"a": 1, "b": None}, {"a": None}, {"a": 3, "b": 2})
    assert found == {"a": Decimal("0.333333"), "b": Decimal("0.666667")}


def test_what_lies_inside_counts_by_item() -> None:
    """A field inside of an object is empty where the object is."""
    assert rates({"q": {"usd": {"p": 1}}}, {"q": {"usd": None}}, {"q": None}, {}) == {
        "q": Decimal("0.5"),
        "q.usd": Decimal("0.75"),
        "q.usd.p": Decimal("0.75"),
    }


def test_what_lies_in_arrays_and_maps_counts_by_element() -> None:
    """Of the elements of all arrays, of the values of all keys; an empty array has none to count."""
    wide = {f"k{number}": {"v": number % 2 or None} for number in range(MOST_FIELDS + 200)}
    found = rates({"tags": [{"n": 1}, {"n": None}, {}], "by": wide}, {"tags": [], "by": {}})
    assert (found["tags"], found["tags[]"], found["tags[].n"]) == (0, 0, Decimal("0.666667"))
    assert (found["by"], found["by.*"], found["by.*.v"]) == (0, 0, Decimal("0.5"))


def test_cells_that_say_nothing_are_empty() -> None:
    """A table has no null: what looks like nothing is none; and a feed has no field that says nothing."""
    assert rates({"a": "1", "b": ""}, {"a": "N/A", "b": "x"}, style=ItemStyle.CELLS) == {
        "a": Decimal("0.5"),
        "b": Decimal("0.5"),
    }
    assert rates({"a": "", "t": []}, {"a": "x", "t": ["y"]}, style=ItemStyle.SPARSE)["t"] == Decimal("0.5")


def test_the_paths_nearest_to_the_item_are_told_first() -> None:
    """Where there are too many, the deep ones are left out, the same ones whatever came first; and it is said."""
    deep = {"z": {"x": {"y": 1}, "w": 1}, "a": 1}
    for item in (deep, dict(reversed(deep.items()))):
        found, cut = null_rates(observe([RawRecord(0, item)], ItemStyle.JSON), most=3)
        assert (list(found), cut) == (["a", "z", "z.w"], True)
    assert null_rates(observe([], ItemStyle.JSON)) == ({}, False)


def test_a_path_that_no_item_had_was_empty_in_all_of_them() -> None:
    """But only where that is certain."""
    known = RunFacts(items=5, null_rates={"a": Decimal("0.2")})
    assert known.null_rate("a") == Decimal("0.2")
    assert known.null_rate("b.c") == 1
    assert known.null_rate("b[].c") is None
    assert known.null_rate("b.*") is None
    assert RunFacts(items=0).null_rate("b") is None
    assert RunFacts(items=5, null_rates_cut=True).null_rate("b") is None
