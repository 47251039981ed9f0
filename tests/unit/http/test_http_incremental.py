"""Marks: the highest value seen, and what is asked from it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kasparro_adapters.http.incremental import IncrementalOptions
from kasparro_core.model import RawRecord


def options(**given):
    return IncrementalOptions.model_validate({"cursor": "t", "param": "since", **given})


def items(*values):
    return [RawRecord(index, {"t": value}) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("given", "values", "mark"),
    [
        ({}, ["2026-01-02T00:00:00Z", "2026-01-02T00:30:00+01:00", "2026-01-01"], "2026-01-02T00:00:00Z"),
        ({}, ["2026-01-01T09:59:59.9Z", "2026-01-01T10:00:00Z"], "2026-01-01T10:00:00Z"),
        ({}, [None, "", "yesterday"], None),
        ({"unit": "s"}, [1767225600, Decimal("1767225600.5")], "2026-01-01T00:00:00.500000Z"),
        ({"unit": "ms"}, ["1767225600000"], "2026-01-01T00:00:00Z"),
        ({"type": "int"}, [9, 10, "11", Decimal(12), True, "x", Decimal("99.5")], 12),
        ({"type": "text"}, ["b", "a", 7, " "], "b"),
    ],
)
def test_the_highest_value_is_the_mark(given, values, mark):
    """Values compare as declared: instants as instants whatever their zone, ints as numbers; others are passed over."""
    assert options(**given).highest(items(*values), None) == mark


def test_the_mark_never_goes_back():
    """Older items leave a mark where it is; None is below everything."""
    instant = options()
    assert instant.highest(items("2025-01-01"), "2026-01-01T00:00:00Z") == "2026-01-01T00:00:00Z"
    assert instant.higher(None, "2026-01-01T00:00:00Z") == "2026-01-01T00:00:00Z"
    assert instant.higher("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z") == "2026-01-01T00:00:00.5Z"
    assert instant.higher(None, None) is None
    assert options(type="int").higher(9, 10) == 10


@pytest.mark.parametrize(
    ("given", "mark", "sent"),
    [
        ({}, "2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ({"lookback": "1h"}, "2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z"),
        ({"lookback": 90}, "2026-01-01T10:00:00Z", "2026-01-01T09:58:30Z"),
        ({"lookback": "1.5d"}, "2026-01-03T00:00:00Z", "2026-01-01T12:00:00Z"),
        ({"send": "date"}, "2026-01-01T10:00:00Z", "2026-01-01"),
        ({"send": "s"}, "2026-01-01T00:00:00.999999Z", "1767225600"),
        ({"send": "ms"}, "2026-01-01T00:00:00.999999Z", "1767225600999"),
        ({"type": "int", "lookback": 5}, 100, "95"),
        ({"type": "text"}, "01HX", "01HX"),
    ],
)
def test_what_is_sent_is_the_mark_minus_lookback(given, mark, sent):
    """The boundary itself is asked for again (inclusive), rounded down, never later than the mark."""
    assert options(**given).params(mark) == {"since": sent}


@pytest.mark.parametrize(
    ("given", "mark", "left"),
    [
        ({}, "2026-01-01T11:00:00Z", "2026-01-01T10:00:00Z"),
        ({}, "2999-01-01T00:00:00Z", "2026-01-01T10:00:00Z"),
        ({}, "2026-01-01T09:59:59.9Z", "2026-01-01T09:59:59.9Z"),
        ({}, None, None),
        ({"type": "int"}, 2**60, 2**60),
        ({"type": "text"}, "zz", "zz"),
    ],
)
def test_a_walk_leaves_no_instant_later_than_its_start(given, mark, left):
    """What changed while it lasted, and what is dated in the future, does not carry the mark past what was not seen."""
    assert options(**given).settled(mark, datetime(2026, 1, 1, 10, tzinfo=UTC)) == left


def test_a_lookback_ends_with_the_calendar():
    """A mark of the year one is asked from, and not less the lookback, which has no date."""
    assert options(lookback="1d").params("0001-01-01T05:00:00Z") == {"since": "0001-01-01T00:00:00Z"}
    assert options(lookback="99999999999d").params("2026-01-01T00:00:00Z") == {"since": "0001-01-01T00:00:00Z"}


def test_without_a_mark_nothing_is_asked():
    """The first run reads everything."""
    assert options().params(None) == {}
