"""The even schedule of a budget, and what is learned from answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.model.budget import Budget, as_of, shifted
from kasparro_core.policy import Pace, Quota, pace_of, rate_now, refused, reserve, told
from kasparro_core.policy.rate_limit import (
    FORGOTTEN,
    GRACE,
    HEADROOM,
    LONGEST,
    LOWEST_LEARNED,
    SECONDS,
    held_up,
    is_idle,
)
from kasparro_core.ports.fetch import RateRules

EVEN = Pace(rate=2.0)


@pytest.mark.parametrize(
    ("rules", "rate", "burst"),
    [
        (RateRules(30, "minute"), 0.5, 1),
        (RateRules(10, "second"), 10.0, 1),
        (RateRules(7_200, "hour"), 2.0, 1),
        (RateRules(864, "day"), 0.01, 1),
        (RateRules(31, "month"), 1 / 86_400, 1),
        (RateRules(30, "minute", burst=5), 0.5, 5),
    ],
)
def test_a_limit_is_scheduled_evenly_with_headroom(rules, rate, burst):
    """Without `burst` requests go one by one, at 95 % of what is allowed; a request may be 5 % of a period late."""
    pace = pace_of(rules)
    assert pace == Pace(pytest.approx(rate * HEADROOM), burst, pytest.approx(SECONDS[rules.per] * GRACE))


def test_a_limit_of_places_alone_has_no_pace():
    """`concurrent` without `requests` schedules nothing."""
    assert pace_of(RateRules(concurrent=2)) is None


def test_slots_follow_one_another():
    """The first slot of an unused budget is now; the next ones are spaced by the rate, whoever takes them."""
    budget, first = reserve(Budget(), EVEN, 1, 100.0)
    budget, others = reserve(budget, EVEN, 2, 100.1)
    assert [first, others] == [(100.0,), pytest.approx((100.5, 101.0))]
    assert reserve(budget, EVEN, 1, 200.0)[1] == (200.0,)


def test_what_was_saved_up_is_at_most_the_burst():
    """A burst of three goes out at once after any rest, then the rate holds."""
    budget, slots = reserve(Budget(), Pace(2.0, burst=3), 5, 1_000.0)
    assert slots == pytest.approx((1_000.0, 1_000.0, 1_000.05, 1_000.55, 1_001.05))
    assert reserve(budget, Pace(2.0, burst=3), 1, 1_000.0)[1] == pytest.approx((1_001.55,))


def test_a_schedule_makes_up_for_a_moment():
    """Where nobody could take a slot at its time, the next ones are not moved on by that, as long as it was less than
    half the grace; by the rest of it they are."""
    pace = Pace(2.0, grace=0.2)
    budget, _ = reserve(Budget(), pace, 1, 100.0)
    assert reserve(budget, pace, 2, 100.45)[1] == pytest.approx((100.4, 100.9))
    assert reserve(budget, pace, 2, 100.9)[1] == pytest.approx((100.8, 101.3))


def test_lateness_moves_the_schedule_on():
    """A request that went 0.3 s too late pushes all following slots by as much."""
    budget, _ = reserve(Budget(), EVEN, 1, 100.0)
    assert reserve(budget, EVEN, 1, 100.0, late=0.3)[1] == pytest.approx((100.8,))


@given(
    requests=st.integers(1, 60),
    per=st.sampled_from(["second", "minute", "hour"]),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4), st.floats(0, 1)), min_size=1, max_size=60),
)
def test_no_window_sees_more_than_its_limit(requests, per, steps):
    """Whenever callers come, however many slots each takes, and with every request late by up to the grace: no window
    of the length of the period holds more requests than the limit."""
    rules = RateRules(requests, per)
    pace, period = pace_of(rules), SECONDS[per]
    budget, now, sent = Budget(), 1_000.0, []
    for gap, count, share in steps:
        now += gap * period / requests
        budget, slots = reserve(budget, pace, count, now)
        sent += [max(slot + share * pace.grace, now) for slot in slots]
    for start in sent:
        assert sum(start <= moment < start + period for moment in sent) <= requests


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), min_size=1, max_size=40))
def test_nobody_asks_before_it_is_open_again(steps):
    """After a 429 that asks for ten seconds, no slot lies before they are over, in whatever order callers come."""
    budget, now, closed = Budget(), 50.0, 0.0
    for gap, refuse in steps:
        now += gap
        if refuse:
            budget = refused(budget, EVEN, now, asked=10.0, ago=0.0, seen=None)
            closed = now + 10.0
        budget, (slot,) = reserve(budget, EVEN, 1, now)
        assert slot >= closed


def test_without_limit_or_lesson_every_slot_is_now():
    """An upstream of which nothing is known is asked at once, and its budget is not even moved."""
    assert reserve(Budget(), None, 3, 9.0) == (Budget(), (9.0, 9.0, 9.0))
    assert is_idle(Budget(), 9.0)


def test_a_429_closes_and_lowers_and_time_mends():
    """The rate drops by a twentieth, at once again by three tenths, and is back in the course of minutes."""
    once = refused(Budget(), EVEN, 100.0, asked=5.0, ago=0.1, seen=None)
    assert (once.closed_until, rate_now(once, EVEN, 100.0)) == (105.0, pytest.approx(1.9))
    twice = refused(once, EVEN, 110.0, asked=5.0, ago=0.1, seen=None)
    assert rate_now(twice, EVEN, 110.0) == pytest.approx(1.9 * (1 + 10 / 600) * 0.7)
    assert rate_now(twice, EVEN, 300.0) == pytest.approx(1.9 * (1 + 10 / 600) * 0.7 * (1 + 190 / 600))
    assert rate_now(twice, EVEN, 800.0) == 2.0


def test_those_on_their_way_lower_it_once():
    """Three requests that were under way together and are all refused count as one lesson; the longest wish holds."""
    budget = Budget()
    for asked, ago in [(5.0, 0.2), (7.0, 0.2), (6.0, 0.3)]:
        budget = refused(budget, EVEN, 100.0, asked=asked, ago=ago, seen=None)
    assert (budget.closed_until, budget.lowered_to) == (107.0, pytest.approx(1.9))


def test_a_configured_rate_is_never_lowered_to_nothing():
    """However many refusals come, a twentieth of what was configured is left."""
    budget = Budget()
    for n in range(50):
        budget = refused(budget, EVEN, 100.0 + n, asked=0.0, ago=0.0, seen=None)
    assert rate_now(budget, EVEN, 150.0) >= 0.1


def test_a_limit_that_nobody_configured_is_learned_and_forgotten():
    """The rate that was answered before the refusal is kept to, a little below it, until an hour without refusals."""
    budget = refused(Budget(), None, 100.0, asked=60.0, ago=0.1, seen=0.5)
    assert rate_now(budget, None, 160.0) == pytest.approx(0.475 * 1.1)
    assert not is_idle(budget, 160.0)
    assert is_idle(budget, 100.0 + FORGOTTEN)
    assert refused(Budget(), None, 100.0, asked=60.0, ago=0.1, seen=None) == Budget(closed_until=160.0)
    assert refused(Budget(), None, 100.0, asked=0.0, ago=0.1, seen=None) == Budget()


def test_an_upstream_is_not_left_alone_for_ever():
    """A wish for years is kept for a day."""
    assert refused(Budget(), EVEN, 0.0, asked=1e9, ago=0.0, seen=None).closed_until == LONGEST
    assert told(Budget(), Quota(0, 1e9), 0.0).closed_until == LONGEST


def test_the_last_requests_before_a_reset_are_spread():
    """With nothing left nobody asks until the reset; with little left it is spread; with plenty nothing changes."""
    assert told(Budget(), Quota(0, 30.0, 100), 10.0) == Budget(closed_until=40.0)
    low = told(Budget(), Quota(5, 20.0, 100), 10.0)
    assert rate_now(low, None, 11.0) == 0.25
    assert rate_now(low, None, 30.0) is None
    assert told(Budget(), Quota(11, 20.0, 100), 10.0) == Budget()
    assert told(low, Quota(99, 60.0, 100), 31.0) == Budget()
    assert told(Budget(), Quota(0, 60.0, 0), 10.0) == Budget()


@pytest.mark.parametrize(("pace", "after"), [(None, (86_500.0, 86_500.0)), (EVEN, (86_500.0, 86_500.5))])
def test_what_is_left_says_nothing_about_later(pace, after):
    """One request left for a day: one goes now, the next one at the reset, and those behind it as fast as ever."""
    budget = told(Budget(), Quota(1, 1e9), 100.0)
    budget, slots = reserve(budget, pace, 3, 100.0)
    assert slots == pytest.approx((100.0, *after))
    assert budget.next_at <= 86_501.0


@pytest.mark.parametrize(("quota", "latest"), [(Quota(99, 60.0, 100), 110.5), (Quota(5, 30.0, 100), 140.0),
                                               (Quota(0, 9.0), 110.5)])  # fmt: skip
def test_slots_that_were_spread_come_forward_again(quota, latest):
    """Where the next slot was a day ahead because little was left, and more is left after all (or the reset comes
    sooner), it is no later than that allows."""
    budget, _ = reserve(told(Budget(), Quota(1, 86_400.0), 100.0), EVEN, 1, 100.0)
    assert budget.next_at == pytest.approx(86_500.0)
    assert told(budget, quota, 110.0, pace=EVEN).next_at == pytest.approx(latest)


def test_taken_slots_stay_where_nothing_was_spread():
    """An answer that says that plenty is left moves no schedule that only the configured limit made."""
    budget, _ = reserve(Budget(), EVEN, 50, 100.0)
    assert told(budget, Quota(99, 60.0, 100), 100.0, pace=EVEN) == budget


def test_what_the_lesson_costs_is_told_from_what_the_limit_costs():
    """A wait by the configured rate alone is nobody's lesson; of one at half the rate, half is."""
    assert held_up(Budget(), EVEN, 700.0, 100.0) == 0.0
    assert held_up(Budget(paced_to=1.0, paced_until=900.0), EVEN, 700.0, 100.0) == 300.0
    assert held_up(Budget(paced_to=1.0, paced_until=900.0), None, 700.0, 100.0) == 600.0
    assert held_up(Budget(), None, 700.0, 100.0) == 0.0


def test_what_429s_alone_have_taught_is_never_less_than_one_an_hour():
    """A few requests in a very long time before a refusal are no reason to ask once in millions of years."""
    assert refused(Budget(), None, 100.0, asked=1e15, ago=0.0, seen=4e-15).lowered_to == LOWEST_LEARNED


def test_a_budget_moves_to_another_clock():
    """Instants are shifted, rates and unset instants are not."""
    budget = Budget(next_at=5.0, lowered_to=1.0, lowered_at=2.0)
    assert shifted(budget, 100.0) == Budget(next_at=105.0, lowered_to=1.0, lowered_at=102.0)


def test_a_clock_that_was_set_back_keeps_nobody_waiting():
    """A budget that was kept an hour "later" than now goes back by that hour; one from the past stays as it is."""
    budget = Budget(next_at=3_605.0, closed_until=3_610.0)
    assert as_of(budget, 3_600.0, 0.0) == Budget(next_at=5.0, closed_until=10.0)
    assert as_of(budget, 3_600.0, 3_601.0) == budget
