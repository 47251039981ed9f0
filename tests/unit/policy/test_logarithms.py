"""Logarithms of values that no float holds."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kasparro_core.policy.logarithms import natural_log
from kasparro_core.policy.spread import Pair, Quoted

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("power", [-1_000, -301, -300, -299, -1, 0, 1, 299, 300, 301, 999])
def test_the_logarithm_of_any_power(power: int) -> None:
    """Inside and outside of what a float holds it is the power times that of ten."""
    assert natural_log(Decimal(1).scaleb(power)) == pytest.approx(power * math.log(10))
    assert natural_log(Decimal("7.5").scaleb(power)) == pytest.approx(power * math.log(10) + math.log(7.5))


def test_a_spread_beyond_every_float_is_a_large_one() -> None:
    """Prices of 1E-900 and 1E+900 are compared like others: their factor is a number that can be kept."""
    pair = Pair(Quoted("a", 1, Decimal("1E-900"), AT), Quoted("b", 2, Decimal("1E+900"), AT))
    assert pair.distance == pytest.approx(1_800 * math.log(10))
    assert math.isfinite(pair.factor)
    assert pair.factor > 1e300
