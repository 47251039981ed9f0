"""What earlier runs let expect of a figure: medians, floors, sides, hours of the week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.model import RunStatus
from kasparro_core.policy.baseline import FAR, FEWEST, Baseline, Basis, Figures, Range, expected, same_hour
from kasparro_core.policy.figure_rules import RULES, rule_of

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def line(
    values: Sequence[float], metric: str = "fetched", *, every: timedelta = DAY, status: RunStatus = RunStatus.SUCCEEDED
) -> list[Figures]:
    """Runs from MONDAY on, one for each value."""
    return [
        Figures(number, MONDAY + number * every, status, {metric: Decimal(str(value))})
        for number, value in enumerate(values, 1)
    ]


def after(history: Sequence[Figures]) -> datetime:
    return history[-1].started_at + (history[-1].started_at - history[-2].started_at)


def told(values: Sequence[float], metric: str = "fetched", **options: object) -> Range | None:
    history = line(values, metric, **options)  # type: ignore[arg-type]
    return expected(history, metric, after(history))


def test_too_few_runs_let_expect_nothing() -> None:
    """Below eight runs that say something there is no range; failed runs and those without the figure say nothing."""
    assert told([100] * (FEWEST - 1)) is None
    assert told([100] * FEWEST) is not None
    assert told([100] * 20, status=RunStatus.FAILED) is None
    assert expected(line([100] * 20), "seconds", MONDAY + 30 * DAY) is None


def test_only_earlier_runs_count() -> None:
    """Neither the run itself nor a later one is part of what it is compared with."""
    history = line([100] * 12 + [5000] * 30)
    found = expected(history, "fetched", history[12].started_at)
    assert found is not None
    assert (found.centre, found.samples) == (100, 12)


def test_a_steady_source_may_stray_by_its_least() -> None:
    """Without any noise the bounds are those of the rule: a factor of one and a half, after ten were added to both."""
    found = told([90] * 40)
    assert found is not None
    assert float(found.low or 0) == pytest.approx(100 / 1.5 - 10, abs=0.01)
    assert float(found.high or 0) == pytest.approx(100 * 1.5 - 10, abs=0.01)
    assert found.holds(Decimal(90))
    assert found.is_below(Decimal(50))
    assert found.is_above(Decimal(150))


def test_a_noisy_source_may_stray_further() -> None:
    """What the figures do from run to run widens the range, and a single one that was far out does not."""
    noisy, spiked = told([60, 140] * 30), told([*[90] * 30, 9000, *[90] * 30])
    steady = told([90] * 61)
    assert noisy is not None
    assert steady is not None
    assert (noisy.low or 0) < (steady.low or 0) < (steady.high or 0) < (noisy.high or 0)
    assert spiked == steady


def test_what_three_runs_showed_may_come_again() -> None:
    """Two runs far out are chance; the third one makes it known."""
    assert (twice := told([*[90] * 40, 500, 500], every=HOUR)) is not None
    assert (thrice := told([*[90] * 40, 500, 500, 500], every=HOUR)) is not None
    assert twice.is_above(Decimal(500))
    assert thrice.holds(Decimal(500))


def test_the_first_week_is_judged_mildly() -> None:
    """As long as the runs span no whole week, the least ratio is squared."""
    first, later = told([*[90] * 99, 91], every=HOUR), told([*[90] * 199, 91], every=HOUR)
    assert first is not None
    assert later is not None
    assert float(first.high or 0) == pytest.approx(100 * 1.5**2 - 10, abs=0.01)
    assert float(later.high or 0) == pytest.approx(100 * 1.5 - 10, abs=0.01)


def test_a_count_that_never_varied_is_not_judged_mildly() -> None:
    """Half of the items missing from a source that has always had the same number is out in its first week; shares that
    never varied, and counts that were always nothing, are judged as mildly as others."""
    steady = told([400] * FEWEST, every=HOUR)
    assert steady is not None
    assert steady.is_below(Decimal(200))
    assert steady.holds(Decimal(300))
    nothing = told([0] * FEWEST, every=HOUR)
    assert nothing is not None
    assert float(nothing.high or 0) == pytest.approx(10 * 1.5**2 - 10, abs=0.01)
    share = told([0.1] * FEWEST, "updated_share", every=HOUR)
    assert share is not None
    assert float(share.high or 0) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("metric", ["fetched", "inserted", "seconds", "latency_p95", "bytes_fetched", "rejected_share"])
@pytest.mark.parametrize("value", ["0", "3", "0.001", "1234.5"])
def test_what_was_always_the_same_is_the_usual_value(metric: str, value: str) -> None:
    """Exactly, and without what logarithms leave of it: 0, and no 1.77636e-15."""
    found = told([float(value)] * FEWEST, metric)
    assert found is not None
    assert found.centre == Decimal(value)
    assert str(found.centre) == value


def test_the_hour_of_the_week_is_compared_with_itself() -> None:
    """A source that is quiet on weekends is expected to be, and not on a Monday."""
    values = [10 if day % 7 in (5, 6) else 200 for day in range(7 * 9)]
    history = [Figures(n, MONDAY + n * DAY, RunStatus.SUCCEEDED, {"fetched": Decimal(v)}) for n, v in enumerate(values)]
    monday, saturday = (Baseline(history, MONDAY + 9 * WEEK + n * DAY).expected("fetched") for n in (0, 5))
    assert monday is not None
    assert saturday is not None
    assert monday.basis is saturday.basis is Basis.HOUR_OF_WEEK
    assert monday.is_below(Decimal(10))
    assert saturday.holds(Decimal(10))
    assert saturday.is_above(Decimal(200))


@pytest.mark.parametrize("minutes", [-61, -60, 0, 119, 120])
def test_the_spans_of_an_hour_hold_its_neighbours(minutes: int) -> None:
    """From one hour before the hour of the week to one hour after it, in each of eight weeks; never in this week."""
    at = MONDAY + 20 * WEEK + timedelta(hours=9, minutes=31)
    spans, then = same_hour(at), MONDAY + 17 * WEEK + timedelta(hours=9, minutes=minutes)
    assert len(spans) == 8
    assert any(start <= then < end for start, end in spans) is (-60 <= minutes < 120)
    assert spans[0][1] < at - 6 * DAY


@pytest.mark.parametrize("metric", [name for name, rule in RULES.items() if not rule.down])
def test_where_less_is_no_fault_there_is_no_lower_bound(metric: str) -> None:
    """Nobody is told that a run was quick, or that nothing was refused."""
    found = told([5] * 30, metric)
    assert found is not None
    assert found.low is None
    assert found.holds(Decimal(0))


def test_a_figure_within_a_run_goes_by_its_family() -> None:
    """`null_rate:price` is judged like any null rate; what nobody judges has a range all the same."""
    assert rule_of("null_rate:price") is RULES["null_rate"]
    assert told([7] * 30, "retries") is not None


amounts = st.lists(st.integers(0, 10**6), min_size=FEWEST, max_size=80)


@given(amounts, st.permutations(range(5)), st.sampled_from([HOUR, DAY]))
def test_order_does_not_matter_and_the_far_range_holds_the_near_one(
    values: list[int], seed: Sequence[int], every: timedelta
) -> None:
    """Whatever the figures are: the middle lies within, the same runs in another order give the same range, and what is
    far out is out."""
    history = line(values, every=every)
    at = after(history)
    shuffled = sorted(history, key=lambda each: (each.run_id % 5, seed[each.run_id % 5], -each.run_id))
    near, far = Baseline(history, at).expected("fetched"), Baseline(history, at).expected("fetched", strays=FAR)
    assert near == Baseline(shuffled, at).expected("fetched")
    assert near is not None
    assert far is not None
    assert near.holds(near.centre)
    assert (far.low or 0) <= (near.low or 0)
    assert (near.high or 0) <= (far.high or 0)
