"""A value beside its own past: what stands out, and above all what does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from kasparro_core.policy.outlier_words import off
from kasparro_core.policy.outliers import FEWEST, WINDOW, Point, jumps, strayed

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)


def series(*values: float | str, step: timedelta = STEP) -> list[Point]:
    """Values one step apart."""
    return [Point(START + n * step, Decimal(str(value))) for n, value in enumerate(values)]


def walk(seed: int, length: int, sigma: float, start: float = 100.0) -> list[Point]:
    """A price that wanders by so much a step, with fat tails: now and then five times as far."""
    random, price, values = Random(seed), start, []
    for _ in range(length):
        price *= math.exp(random.gauss(0, sigma * (5 if random.random() < 0.02 else 1)))
        values.append(float(f"{price:.8g}"))
    return series(*values)


def judged(points: Sequence[Point], *, after: bool = False) -> list[int]:
    """The places that stand out, each beside what was before it (and with `after` what came later)."""
    return [
        at
        for at in range(len(points))
        if strayed(points[max(0, at - WINDOW) : at], points[at], points[at + 1 : at + 6] if after else ()) is not None
    ]


@pytest.mark.parametrize("sigma", [0.0005, 0.005, 0.05, 0.3])
def test_a_price_that_wanders_never_stands_out(sigma: float) -> None:
    """20 prices of 500 steps each, from a stable coin's steps to those of a wild one: not one alarm."""
    assert [judged(walk(seed, 500, sigma)) for seed in range(20)] == [[]] * 20


def test_a_gradual_move_however_far_never_stands_out() -> None:
    """A thousandfold, by 10 % a step, is a trend."""
    assert judged(series(*(1.1**n for n in range(80)))) == []


@pytest.mark.parametrize("factor", [0.001, 0.01, 0.1, 10, 100, 1e6])
def test_a_planted_fault_is_found(factor: float) -> None:
    """One value in a calm series, off by a factor of ten or more either way: in each of 20 series that one, and no
    other, whether what follows is known or not."""
    for seed in range(20):
        points = walk(seed, 60, 0.01)
        wrong = Point(points[40].at, Decimal(str(float(points[40].value) * factor)))
        points[40] = wrong
        assert judged(points) == [40]
        assert judged(points, after=True) == [40]


def test_the_expected_range_is_told_with_its_numbers() -> None:
    """Where the values lay, how far they may go, how many there were; and a sentence of it."""
    points = series(*[100, 101, 99, 100] * 4)
    expected = strayed(points, Point(START + 16 * STEP, Decimal("1.06")))
    assert expected is not None
    assert (expected.level, expected.history) == (Decimal(100), 16)
    assert Decimal(40) < expected.low < Decimal(51) < Decimal(199) < expected.high < Decimal(250)
    assert off("btc", Decimal("1.06"), "USD", expected) == (
        f"btc is at 1.06 USD, outside of the {expected.low:f} to {expected.high:f} USD that its 16 earlier values let "
        "expect; the last of them lay around 100 USD."
    )


def test_too_short_a_past_says_nothing() -> None:
    """One value fewer than needed, and anything may come."""
    points = series(*[100] * FEWEST)
    last = Point(START + 100 * STEP, Decimal(10**6))
    assert strayed(points[1:], last) is None
    assert strayed(points, Point(START + FEWEST * STEP, Decimal(10**6))) is not None


def test_a_move_that_lasts_is_no_outlier_once_that_is_known() -> None:
    """A redenomination by a thousand: the first value stands out while it is the last one, and not when the next ones
    keep to it."""
    points = series(*[5.0, 5.01, 4.99] * 8, *[5000, 5010, 4990])
    assert judged(points) == [24]
    assert judged(points, after=True) == []


def test_after_a_spike_the_value_that_comes_back_is_no_outlier() -> None:
    """Neither the way back nor what follows is told."""
    assert judged(series(*[7.0, 7.1, 6.9] * 6, 7000, *[7.0, 7.1] * 6)) == [18]


def test_after_a_long_pause_a_value_may_be_further_off() -> None:
    """What stands out after five minutes does not after half a year, at steps of 3 %."""
    points = walk(3, 30, 0.03)
    other = points[-1].value * 6
    assert strayed(points, Point(points[-1].at + STEP, other)) is not None
    assert strayed(points, Point(points[-1].at + timedelta(days=180), other)) is None


def test_a_value_that_is_rounded_coarsely_may_double() -> None:
    """Prices of 1 to 3 units of the last digit are rounding, down to zero."""
    assert judged(series(*["2e-8", "1e-8", "3e-8"] * 6, "9e-8", "0", "1e-8")) == []


def test_a_price_of_zero_stands_out_where_it_is_no_rounding() -> None:
    """A coin at 40,000 is not worth nothing five minutes later; nor below."""
    points = series(*[40000.5, 40010.5, 39990.5] * 5)
    for value in ("0", "-40000"):
        wrong, following = Point(points[-1].at + STEP, Decimal(value)), points[:5]
        assert strayed(points, wrong) is not None
        assert strayed(points, wrong, following) is not None
        assert strayed(points, wrong, [wrong] * 3) is None


def test_values_that_may_be_negative_are_judged_by_their_distance() -> None:
    """Around zero a factor says nothing: ten times the largest value seen stands out, the double of a small one not."""
    points = series(*[-1, 2, 0, -2, 1] * 4)
    assert strayed(points, Point(points[-1].at + STEP, Decimal(2))) is None
    assert strayed(points, Point(points[-1].at + STEP, Decimal(-4))) is None
    assert strayed(points, Point(points[-1].at + STEP, Decimal(500))) is not None


def test_many_values_at_one_instant_and_huge_ones_are_no_fault() -> None:
    """No division by a time of zero, no overflow: 2^256 is a number that upstreams send."""
    points = [Point(START, Decimal(100 + n % 3)) for n in range(20)]
    assert strayed(points, Point(START, Decimal(2**256))) is not None
    assert strayed(series(*["1e-300", "1e300"] * 10), Point(START + 20 * STEP, Decimal("1e-300"))) is None


@pytest.mark.parametrize(
    ("value", "last", "expected"),
    [
        ("2", "1", False),
        ("2.01", "1", True),
        ("1", "2.01", True),
        ("0", "0", False),
        ("0", "1", True),
        ("-1", "1", True),
    ],
)
def test_only_a_value_far_from_the_last_one_is_judged(value: str, last: str, *, expected: bool) -> None:
    """Within a factor of two nothing is asked."""
    assert jumps(Decimal(value), Decimal(last)) is expected
