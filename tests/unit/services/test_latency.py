"""How long requests took: quantiles from counts by size."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kasparro_core.services.latency import Latencies

SECONDS = st.floats(min_value=1e-6, max_value=1e6, allow_nan=False)


def summed(*parts: list[float]) -> Latencies:
    latencies = Latencies()
    for part in parts:
        latencies.add(part)
    return latencies


def test_nothing_took_no_time() -> None:
    """Without requests there are no quantiles."""
    assert summed([]).summary() is None


@given(seconds=st.lists(SECONDS, min_size=1, max_size=200))
@example(seconds=[0.5])
@example(seconds=[0.1] * 19 + [9.0])
def test_quantiles_are_within_two_and_a_half_percent(seconds: list[float]) -> None:
    """p50 and p95 are near the value of their rank, the longest is exact, and none is longer than that."""
    found = summed(seconds).summary()
    assert found is not None
    ordered = sorted(each * 1_000 for each in seconds)
    assert (found.requests, found.most) == (len(seconds), Decimal(ordered[-1]).quantize(Decimal("0.001")))
    for quantile, share in ((found.p50, 0.5), (found.p95, 0.95)):
        exact = ordered[ceil(share * len(ordered)) - 1]
        assert float(quantile) == pytest.approx(exact, rel=0.026, abs=0.001)
        assert quantile <= found.most


@given(seconds=st.lists(SECONDS, max_size=50), at=st.integers(0, 50))
def test_the_order_does_not_matter(seconds: list[float], at: int) -> None:
    """Partitions read side by side make the same figures in whatever order they end."""
    assert summed(seconds[at:], seconds[:at]).summary() == summed(seconds).summary()


def test_any_duration_has_a_size() -> None:
    """A clock that was set back, nothing at all and a month are counted, in less than 600 sizes."""
    latencies = summed([-1.0, 0.0, 1e-12, 2_600_000.0, 1e30], [1.1**power for power in range(-200, 200)])
    found = latencies.summary()
    assert found is not None
    assert found.requests == 405
    assert len(latencies._counts) < 600
