"""The retry policy: what passes, what is asked, how long to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.policy import FAULTS, Action, Fault, GiveUp, Wait, judge_fault, next_delay, parse_retry_after
from kasparro_core.ports.fetch import Effort, RetryRules

NOW = datetime(2026, 11, 21, 8, 0, 0, 250_000, tzinfo=UTC)
RULES = RetryRules(attempts=5, wait_max=60.0, deadline=300.0)


@pytest.mark.parametrize("fault", list(Fault))
def test_faults_of_the_network_alone_are_retried(fault):
    """Timeouts, connections, names and cut bodies may pass; refusals and unusable answers do not. Each has a reason."""
    passing = {Fault.TIMEOUT, Fault.CONNECTION, Fault.DNS, Fault.INCOMPLETE_BODY}
    assert judge_fault(fault).passes == (fault in passing)
    assert judge_fault(fault) is not Action.WAIT
    assert FAULTS[fault][1]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("119", 119.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Sat, 21 Nov 2026 08:00:30 GMT", 29.75),
        ("Saturday, 21-Nov-26 08:00:30 GMT", 29.75),
        ("Sat Nov 21 08:00:30 2026", 29.75),
        ("Sat, 21 Nov 2026 08:00:30 -0000", 29.75),
        ("Sat, 21 Nov 2026 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    """All forms of the header become seconds from now; a date that is over is 0."""
    assert parse_retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    "header", [None, "", "soon", "-5", "1e9", "٣", "Sat, 99 Nov 2026", "Sat, 21 Nov 99999999999 08:00:30 GMT"]
)
def test_an_unreadable_retry_after_is_none(header):
    """What says neither seconds nor a date is no wish at all, and no error."""
    assert parse_retry_after(header, NOW) is None


@given(st.text())
def test_retry_after_never_raises(header):
    """Any text at all is either a number of seconds not below zero, or None."""
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10**7))
def test_a_date_is_never_taken_as_sooner(seconds):
    """A date that the upstream rounded down to a second is waited for until that second has begun."""
    at = (NOW + timedelta(seconds=seconds)).replace(microsecond=0)
    asked = parse_retry_after(format_datetime(at, usegmt=True), NOW)
    assert asked is not None
    assert NOW + timedelta(seconds=asked) >= min(at, NOW)
    assert asked == max(0.0, (at - NOW).total_seconds())


@given(
    attempt=st.integers(1, 200),
    spent=st.floats(0, 400),
    asked=st.none() | st.floats(0, 1000),
    draw=st.floats(0, 1, exclude_max=True),
    attempts=st.integers(1, 100),
    wait_max=st.floats(0, 600),
)
def test_waits_keep_every_promise(attempt, spent, asked, draw, attempts, wait_max):
    """A wait is never sooner than asked, never past the deadline, and jitter alone never exceeds wait_max."""
    rules = RetryRules(attempts=attempts, wait_max=wait_max, deadline=300.0)
    step = next_delay(attempt, rules, Effort(), spent=spent, asked=asked, draw=draw)
    if isinstance(step, GiveUp):
        assert attempt >= attempts or spent >= 300 or (asked is not None and asked > 300 - spent)
        return
    assert step.seconds >= (asked or 0.0)
    assert step.seconds <= 300 - spent
    assert step.seconds <= max(asked or 0.0, wait_max)


def test_the_ceiling_doubles_up_to_wait_max():
    """With the highest draw the waits are 0.5, 1, 2, 4 ... seconds, then wait_max."""
    rules = RetryRules(attempts=100, wait_max=3.0, deadline=300.0)
    waits = [next_delay(n, rules, Effort(), spent=0, asked=None, draw=1.0) for n in range(1, 6)]
    assert waits == [Wait(0.5), Wait(1.0), Wait(2.0), Wait(3.0), Wait(3.0)]


def test_jitter_is_full():
    """The draw scales the whole ceiling, down to no wait at all."""
    assert next_delay(3, RULES, Effort(), spent=0, asked=None, draw=0.0) == Wait(0.0)
    assert next_delay(3, RULES, Effort(), spent=0, asked=None, draw=0.25) == Wait(0.5)


def test_it_gives_up_at_once_when_the_wish_does_not_fit():
    """A Retry-After beyond what is left of the deadline ends it, and the reason says how long was asked for."""
    step = next_delay(1, RULES, Effort(), spent=200.0, asked=119.0, draw=0.5)
    assert isinstance(step, GiveUp)
    assert "119 s" in step.why
    assert "100 s" in step.why


def test_it_gives_up_after_the_attempts():
    """The last attempt is followed by no wait."""
    step = next_delay(5, RULES, Effort(), spent=0.0, asked=None, draw=0.5)
    assert step == GiveUp("after 5 attempts")


def test_a_run_has_so_many_retries_for_all_its_requests():
    """However few attempts a single request has made, a run whose retries are used up makes no more of them."""
    rules = RetryRules(attempts=5, run_retries=7)
    assert isinstance(next_delay(1, rules, Effort(retries=6), spent=0, asked=None, draw=0.5), Wait)
    step = next_delay(1, rules, Effort(retries=7), spent=0, asked=None, draw=0.5)
    assert isinstance(step, GiveUp)
    assert "7 retries" in step.why
    assert "retry.run_retries" in step.why


def test_a_run_has_so_much_time_for_waiting():
    """A wait is cut to what the run has left, a wish beyond it ends the request, and nothing left ends it too."""
    rules = RetryRules(attempts=9, wait_max=60.0, run_wait=100.0)
    assert next_delay(8, rules, Effort(waited=99.5), spent=0, asked=None, draw=0.9) == Wait(0.5)
    for effort, asked in [(Effort(waited=90.0), 11.0), (Effort(waited=100.0), None)]:
        step = next_delay(1, rules, effort, spent=0, asked=asked, draw=0.9)
        assert isinstance(step, GiveUp)
        assert "retry.run_wait" in step.why


def test_four_hundred_flaky_pages_stop_at_the_budget_of_their_run():
    """A walk in which each page fails four times and then answers makes 100 retries, not 1,600."""
    effort, retries = Effort(), 0
    for _page in range(400):
        for attempt in range(1, 5):
            step = next_delay(attempt, RetryRules(), effort, spent=0, asked=None, draw=0.5)
            if isinstance(step, GiveUp):
                break
            effort.retries, effort.waited, retries = effort.retries + 1, effort.waited + step.seconds, retries + 1
    assert retries == RetryRules().run_retries == 100
