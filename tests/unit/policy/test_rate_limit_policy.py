"""The token bucket: how many requests, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.policy import Bucket, BucketRules, bucket_rules, reserve
from kasparro_core.ports.fetch import RateRules


@pytest.mark.parametrize(
    ("rules", "rate", "burst"),
    [
        (RateRules(30, "minute"), 0.5, 1),
        (RateRules(10, "second"), 10.0, 10),
        (RateRules(90, "minute"), 1.5, 1),
        (RateRules(7_200, "hour"), 2.0, 2),
        (RateRules(864, "day"), 0.01, 1),
        (RateRules(31, "month"), 1 / 86_400, 1),
        (RateRules(30, "minute", burst=5), 0.5, 5),
    ],
)
def test_a_budget_holds_one_seconds_worth(rules, rate, burst):
    """Without `burst` a bucket holds what one second brings, at least one request."""
    assert bucket_rules(rules) == BucketRules(pytest.approx(rate), burst)


def test_an_unused_bucket_is_full():
    """The first requests go out at once, as many as the burst; the next ones are spaced by the rate."""
    rules, bucket, waits = BucketRules(rate=2.0, burst=3.0), None, []
    for _ in range(5):
        bucket, wait = reserve(bucket, rules, 100.0)
        waits.append(wait)
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0]


def test_an_older_instant_refills_nothing():
    """A caller whose instant is behind the bucket's neither gains tokens nor turns it back."""
    bucket, wait = reserve(Bucket(0.0, 50.0), BucketRules(1.0, 1.0), 40.0)
    assert (bucket, wait) == (Bucket(-1.0, 50.0), 1.0)


@given(
    st.floats(0.01, 50), st.integers(1, 20), st.lists(st.floats(0, 10), min_size=1, max_size=60), st.floats(0.5, 100)
)
def test_no_window_ever_sees_more_than_its_share(rate, burst, gaps, window):
    """Whenever callers come, any window of length w sends at most burst + w * rate requests."""
    rules, bucket, now, sent = BucketRules(rate, float(burst)), None, 0.0, []
    for gap in gaps:
        now += gap
        bucket, wait = reserve(bucket, rules, now)
        sent.append(now + wait)
    assert sent == sorted(sent)
    for start in sent:
        inside = sum(start <= moment <= start + window for moment in sent)
        assert inside <= burst + window * rate + 1e-6 * len(sent) + 1
