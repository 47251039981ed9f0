"""Figures of an asset beside the rest of its listing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from kasparro_core.policy.outlier_words import amount, left_behind, ranked_high, span
from kasparro_core.policy.plausible import (
    FEWEST_NEIGHBOURS,
    FEWEST_SIBLINGS,
    FEWEST_STATES,
    SILENCE,
    Implausible,
    Markets,
    Ranked,
    ages,
    fell_silent,
    implausible,
    main_currency,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def listing(count: int, *, spread: float = 1.3, seed: int = 1) -> list[Ranked]:
    """Assets whose capitalization falls with the rank, and which trade about 5 % of it; within a factor of e^spread."""
    random = Random(seed)
    found = []
    for rank in range(1, count + 1):
        cap = 7e11 / rank**1.2
        found.append(Ranked(f"coin-{rank}", "USD", rank, cap, cap * 0.05 * math.exp(random.gauss(0, spread))))
    return found


def out(found: Sequence[Ranked]) -> list[Implausible]:
    """Those that stand out."""
    return list(implausible(found).out)


def test_a_first_rank_that_is_hardly_traded_stands_out() -> None:
    """ticoex-token as it was recorded: rank 1, 3.3 trillion, 5.4 USD a day; told with all its numbers."""
    ticoex = Ranked("ticoex-token", "USD", 1, 3333370870735.0, 5.4)
    others = [each._replace(rank=each.rank + 1) for each in listing(249)]
    (found,) = out([*others, ticoex])
    assert found.asset == ticoex
    assert ranked_high(found).startswith(
        "ticoex-token is ranked 1 by a market cap of 3,333,370,870,735 USD, but 5.4 USD were traded in 24 hours; the "
        f"{found.neighbours} assets ranked next to it usually trade "
    )


def test_healthy_listings_have_none() -> None:
    """20 listings of 2,000 assets each, whose turnovers differ by up to four orders of magnitude."""
    assert [out(listing(2_000, seed=seed)) for seed in range(20)] == [[]] * 20


def test_at_the_end_of_a_list_nobody_wonders() -> None:
    """What is among the less traded half may stand still."""
    assets = listing(500)
    assert out([*assets[:450], assets[450]._replace(volume=1e-9), *assets[451:]]) == []


def test_a_volume_of_zero_counts_as_the_smallest_one() -> None:
    """Nobody measured it, most often: it stands out only where the listing itself knows far smaller ones than usual."""
    assets = listing(200)
    assert out([*assets[:9], assets[9]._replace(volume=0.0), *assets[10:]]) == []
    assert out([each._replace(volume=0.0) for each in assets]) == []


def test_neighbours_of_another_order_say_nothing() -> None:
    """One asset far behind the top hundred, or fewer than ten of them, cannot be judged."""
    lone = Ranked("lone", "USD", 5_000, 1e6, 0.001)
    assert out([*listing(100), lone]) == []
    assert out([*listing(FEWEST_NEIGHBOURS - 1), lone._replace(rank=1)]) == []
    assert len(out([*listing(FEWEST_NEIGHBOURS), lone._replace(rank=1)])) == 1


def test_what_is_half_way_there_is_neither_out_nor_sound() -> None:
    """A volume 3,000 times below the usual: what stood of it stays as it is. The same holds where there is nothing to
    compare with."""
    assets = listing(200, spread=0.1)
    markets = implausible([*assets[:9], assets[9]._replace(volume=assets[9].volume / 3_000), *assets[10:]])
    assert markets.out == []
    assert {each.key for each in assets} - set(markets.sound) == {"coin-10"}
    assert implausible(assets[:FEWEST_NEIGHBOURS]).sound == []


def test_unranked_assets_are_left_out() -> None:
    """Rank 0 is no rank, and a capitalization of 0 none."""
    odd = [Ranked("a", "USD", 0, 1e12, 1e-9), Ranked("b", "USD", 1, 0.0, 1e-9)]
    markets = implausible([*odd, *listing(100)])
    assert (markets.out, len(markets.sound)) == ([], 100)
    assert implausible([]) == Markets()


def test_something_far_older_than_its_siblings_is_behind() -> None:
    """Two recorded tickers of 2019 were weeks older than the other 2,500; the furthest comes first."""
    said = [(f"k{n}", NOW + timedelta(seconds=n)) for n in range(100)]
    told = ages([*said, ("old", NOW - timedelta(days=42)), ("older", NOW - timedelta(days=57))])
    assert told is not None
    assert [each.key for each in told.found] == ["older", "old"]
    assert told.recent < NOW
    assert left_behind(told.found[0]) == (
        "older is as of 2026-01-03T00:00:00Z, 57.0 days before its siblings, which are as of 2026-03-01T00:00:49Z; "
        "nothing before 2026-02-28T00:00:49Z was to be expected."
    )


def test_hours_and_scattered_instants_are_no_delay() -> None:
    """Less than a day is none, and where the siblings are spread over months so may be all."""
    said = [(f"k{n}", NOW) for n in range(100)]
    told = ages([*said, ("late", NOW - timedelta(hours=23))])
    assert told is not None
    assert told.found == []
    scattered = ages([(f"k{n}", NOW - timedelta(days=n)) for n in range(100)])
    assert scattered is not None
    assert scattered.found == []


def test_two_kinds_of_things_in_one_list_are_no_delay() -> None:
    """Where more than a tenth is old, the list is of old things too; and few items say nothing."""
    half = [(f"k{n}", NOW if n % 5 else NOW - timedelta(days=900)) for n in range(100)]
    assert ages(half) is None
    few = [(f"k{n}", NOW) for n in range(FEWEST_SIBLINGS - 2)]
    assert ages([*few, ("old", NOW - timedelta(days=900))]) is None


def test_what_used_to_speak_every_five_minutes_has_fallen_silent() -> None:
    """After six hours, and not a minute sooner."""
    states = [NOW + timedelta(minutes=5 * n) for n in range(30)]
    assert fell_silent(states, states[-1] + SILENCE) is None
    fell = fell_silent(states, states[-1] + SILENCE + timedelta(minutes=1))
    assert fell is not None
    assert (fell.silence, fell.patience) == (SILENCE + timedelta(minutes=1), SILENCE)


def test_what_is_often_quiet_may_be_quiet() -> None:
    """Five times the longest silence, and twenty times the usual one; and nothing is known of what is new."""
    days = [NOW + timedelta(days=n) for n in range(FEWEST_STATES)]
    assert fell_silent(days, days[-1] + timedelta(days=19)) is None
    assert fell_silent(days, days[-1] + timedelta(days=21)) is not None
    with_gap = [*days, days[-1] + timedelta(days=30)]
    assert fell_silent(with_gap, with_gap[-1] + timedelta(days=149)) is None
    assert fell_silent(days[1:], days[-1] + timedelta(days=999)) is None


def test_the_main_currency_is_that_of_most() -> None:
    """Whatever the order; None may be one."""
    assert main_currency(["EUR", "USD", "USD"]) == "USD"
    assert main_currency([None, None, "USD"]) is None
    assert main_currency([]) is None


def test_figures_read_well() -> None:
    """Large ones in groups of three, small ones without exponents, times in days from the second day on."""
    assert amount(Decimal("1E+15"), "USD") == "1,000,000,000,000,000 USD"
    assert amount(Decimal("-0.000012340"), None) == "-0.00001234"
    assert span(timedelta(hours=47)) == "47.0 hours"
