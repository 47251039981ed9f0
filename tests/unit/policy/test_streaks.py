"""Runs that bring nothing, where what usually comes is little."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kasparro_core.policy.streaks import Streak, empty

FEW = [Decimal(n) for n in (4, 3, 6, 2, 5, 4, 3, 1)]


@pytest.mark.parametrize(
    ("before", "found"),
    [
        pytest.param(FEW, None, id="one run without any, of a source of about four"),
        pytest.param([*FEW, Decimal(0)], None, id="two in a row: seven items were due"),
        pytest.param([*FEW, Decimal(0), Decimal(0)], Streak(3, 1), id="three in a row: ten were due"),
        pytest.param([Decimal(3)] * 8, Streak(1, 1), id="always three: a list, which does not come by ones"),
        pytest.param([value * 10 for value in FEW], Streak(1, 1), id="about forty"),
    ],
)
def test_nothing_is_news_where_it_is_no_chance(before: list[Decimal], found: Streak | None) -> None:
    """A source of a few items an hour has an hour without any now and then; of one that has more, or always as many,
    the first empty run is told."""
    assert empty(before, []) == found


def test_what_happened_long_ago_is_news_again() -> None:
    """Three empty runs among a hundred make the fourth one usual where they were lately, and not where they were weeks
    ago."""
    full = [Decimal(2_000)] * 25
    before = [*full, Decimal(0), *full, Decimal(0), *full, Decimal(0), *full]
    assert empty(before, []) is None
    assert empty(before, [], lately=80) is None
    assert empty(before, [], lately=40) == Streak(1, 2)
    assert empty(before, [], lately=14) == Streak(1, 1)
