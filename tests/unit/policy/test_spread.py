"""What several sources say of one thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import log

import pytest

from kasparro_core.policy.outlier_words import far_apart, told_apart
from kasparro_core.policy.spread import (
    COMPARABLE,
    FLOOR_KNOWN,
    FLOOR_UNKNOWN,
    Pair,
    Quoted,
    earlier_distances,
    odd_one,
    usual_factor,
    widest,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def quoted(source: str, value: str, *, minutes: float = 0) -> Quoted:
    return Quoted(source, 1, Decimal(value), NOW + timedelta(minutes=minutes))


def test_the_two_that_are_furthest_apart_are_told() -> None:
    """Of three the lowest and the highest; the one that the third one is not near to is the odd one."""
    three = [quoted("a", "100"), quoted("b", "101"), quoted("c", "202")]
    pair = widest(three)
    assert pair is not None
    assert ({pair.a.source, pair.b.source}, round(pair.factor, 6)) == ({"a", "c"}, 2.02)
    odd = odd_one(pair, three)
    assert odd is not None
    assert odd.source == "c"
    assert odd_one(pair, three[:2]) is None
    assert far_apart("btc-bitcoin", pair, "USD", 1.25, "c") == (
        "For btc-bitcoin a has 100 USD and c has 202 USD at about the same time, a factor of 2.02; up to 1.25 is "
        "nothing special for these two. What the other sources have is far from that of c."
    )


@pytest.mark.parametrize(
    "others",
    [
        [],
        [quoted("a", "500")],
        [quoted("b", "500", minutes=COMPARABLE.total_seconds() / 60 + 1)],
        [quoted("b", "0")],
        [quoted("b", "-3")],
    ],
    ids=["none", "the same source", "another time", "zero", "negative"],
)
def test_what_cannot_be_compared_is_not(others: list[Quoted]) -> None:
    """Nothing is said without two positive values of two sources at about the same time."""
    assert widest([quoted("a", "100"), *others]) is None


def test_a_spread_is_judged_beside_what_it_was() -> None:
    """Where two sources of one asset always differed by half, that is usual; where they never did, a quarter stands
    out."""
    assert usual_factor([log(1.5)] * 10, []) == pytest.approx(1.5 * FLOOR_KNOWN)
    assert usual_factor([0.0] * 10, []) == FLOOR_KNOWN
    wild = [log(1 + n / 10) for n in range(10)]
    assert usual_factor(wild, []) > 5


@pytest.mark.parametrize("most", [1.02, 7.96, 77.5, 1720.0, 16000.0])
def test_a_little_beyond_all_that_was_is_no_step(most: float) -> None:
    """However wide the spread is, it has to grow by a quarter of what it has been: 8.28 after 7.96 is nothing, and
    twice as much is."""
    earlier = [log(most * factor) for factor in (0.985, 0.99, 0.99, 0.99, 0.99, 1)]
    usual = usual_factor(earlier, [])
    assert most * 1.04 < most * 1.24 < usual
    assert usual < most * 2


@pytest.mark.parametrize(
    ("found", "usual", "said"),
    [
        (2.02, 1.25, ("2.02", "1.25")),
        (158.2, 157.9, ("158.2", "157.9")),
        (1750.0, 1720.0, ("1,750", "1,720")),
        (8.000001, 8.0, ("8.000001", "8")),
        (1e200, 5e21, ("1e+200", "5,000,000,000,000,000,000,000")),
    ],
)
def test_the_sentence_shows_that_the_two_factors_differ(found: float, usual: float, said: tuple[str, str]) -> None:
    """Three digits, and as many more as that takes."""
    assert told_apart(found, usual) == said


def test_the_sentence_names_two_factors_that_differ() -> None:
    """Prices of which the factor is just above what is usual."""
    pair = Pair(quoted("a", "1"), quoted("b", "158.2"))
    assert "a factor of 158.2; up to 157.9 is" in far_apart("btc-bitcoin", pair, "USD", 157.9, None)


def test_without_a_past_it_is_judged_beside_the_others() -> None:
    """Two sources whose other assets agree may differ by a factor of two; where these do not agree, nothing stands
    out."""
    assert usual_factor([], [0.01] * 100) == FLOOR_UNKNOWN
    assert usual_factor([], []) == FLOOR_UNKNOWN
    assert usual_factor([0.1] * 4, [log(10)] * 5) == pytest.approx(1000)


def test_earlier_spreads_are_those_of_about_the_same_time() -> None:
    """Each change of the one beside the nearest of the other, if that is near enough."""
    a = [(NOW + timedelta(minutes=10 * n), Decimal(100)) for n in range(4)]
    b = [(NOW + timedelta(minutes=10 * n + 1), Decimal(100 + n)) for n in range(3)]
    b.append((NOW + timedelta(days=1), Decimal(1)))
    assert earlier_distances(a, b) == pytest.approx([log(1), log(1.01), log(1.02), log(1.02)])
    assert earlier_distances([(NOW + timedelta(days=2), Decimal(1))], b) == []
    assert earlier_distances(a, []) == []


def test_a_pair_that_agrees_has_the_factor_one() -> None:
    """Whatever the digits."""
    assert Pair(quoted("a", "1.50"), quoted("b", "1.5")).factor == 1
