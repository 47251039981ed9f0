"""What the sources of one entity agree on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.identity.agreement import AHEAD, COMPARABLE, Agreement, LeftOut, agreement
from kasparro_core.model import Record, StoredRecord
from kasparro_core.testing.strategies import decimals

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def stored(
    source: str, value: str | Decimal | None = None, *, old: timedelta = timedelta(), **fields: Any
) -> StoredRecord:
    """The latest record of a source, in USD, `old` ago."""
    given_fields = {"occurred_at": NOW - old, "currency": "USD", "attributes": {}, **fields}
    number = None if value is None else Decimal(value)
    record = Record(source, "k", "quote", external_id="k", value=number, **given_fields)
    return StoredRecord(1, record, "h", None, 0, 1, NOW, NOW - old, 1, 1)


def field(agreed: Agreement, name: str) -> Any:
    """What was found of one field."""
    (found,) = [each for each in agreed.fields if each.field == name]
    return found


def test_the_spread_is_exact() -> None:
    """Low, high and their difference have every digit; the share is of the larger one, to six places."""
    low, high = Decimal("100.00000000000000000000000000000000000001"), Decimal("101.5")
    (price,) = agreement([stored("b", high), stored("a", low), stored("c", "101")], NOW).prices
    assert (price.low, price.low_source, price.high, price.high_source) == (low, "a", high, "b")
    assert str(price.spread) == "1.49999999999999999999999999999999999999"
    assert price.share == Decimal("0.014778")
    assert (price.sources, price.currency, price.agree) == (("a", "b", "c"), "USD", True)


def test_prices_that_lie_apart_disagree() -> None:
    """More than two percent between them is told; at two percent they agree."""
    assert agreement([stored("a", "98"), stored("b", "100")], NOW).disagree == ()
    agreed = agreement([stored("a", "97.9"), stored("b", "100")], NOW)
    assert agreed.disagree == ("price",)
    assert not agreed.prices[0].agree


def test_what_is_older_is_stale() -> None:
    """Only what held within an hour of the newest counts; the rest is named with how much older it is."""
    behind = COMPARABLE + TICK
    records = [stored("a", "100"), stored("b", "101", old=COMPARABLE), stored("c", "50", old=behind)]
    agreed = agreement(records, NOW)
    assert agreed.as_of == NOW
    assert agreed.prices[0].sources == ("a", "b")
    (out,) = agreed.left_out
    assert (out.source, out.reason, out.behind_seconds) == ("c", LeftOut.STALE, Decimal("3600.000001"))


def test_a_date_in_the_future_measures_nothing() -> None:
    """A source whose clock is wrong is left out, and makes no other one stale."""
    records = [stored("a", "100"), stored("b", "101"), stored("c", "1", old=-(AHEAD + TICK))]
    agreed = agreement(records, NOW)
    assert agreed.prices[0].sources == ("a", "b")
    assert [(out.source, out.reason, out.behind_seconds) for out in agreed.left_out] == [
        ("c", LeftOut.AHEAD, Decimal("-300.000001"))
    ]
    assert agreement([stored("a", "100"), stored("c", "1", old=-AHEAD)], NOW).left_out == ()


def test_what_is_gone_is_left_out() -> None:
    """What its source no longer lists is compared neither by price nor by name."""
    gone = replace(stored("b", "1", title="Old"), gone_at=NOW)
    agreed = agreement([stored("a", "100", title="New"), gone], NOW)
    assert (agreed.prices, agreed.fields, agreed.disagree) == ((), (), ())
    assert [(out.source, out.reason) for out in agreed.left_out] == [("b", LeftOut.GONE)]
    alone = agreement([gone], NOW)
    assert (alone.as_of, alone.left_out[0].behind_seconds) == (None, 0)


def test_what_has_no_instant_is_dated_by_its_change() -> None:
    """Without occurred_at the instant counts at which the record got its content."""
    undated = replace(stored("b", "99", occurred_at=None), updated_at=NOW - COMPARABLE - TICK)
    assert [out.source for out in agreement([stored("a", "100"), undated], NOW).left_out] == ["b"]


def test_currencies_are_kept_apart() -> None:
    """A spread for each currency that two sources give, in either case; none of a single one; most sources first."""
    records = [
        stored("a", "1", currency="EUR"),
        stored("b", "2", currency="EUR"),
        stored("c", "3", currency="usd"),
        stored("d", "3"),
        stored("e", "4"),
        stored("f", "5", currency="GBP"),
    ]
    prices = agreement(records, NOW).prices
    assert [(price.currency, price.sources) for price in prices] == [("USD", ("c", "d", "e")), ("EUR", ("a", "b"))]


def test_names_and_symbols_are_compared_by_their_canonical_form() -> None:
    """Case, accents, signs and known renamings do not count; another name does, however old it is."""
    agreed = agreement(
        [
            stored("a", title="Bitcoin", symbol="BTC"),
            stored("b", title="BITCÓIN ", symbol="XBT", old=timedelta(days=3)),
        ],
        NOW,
    )
    assert (field(agreed, "name").agree, field(agreed, "symbol").agree) == (True, True)
    assert [told.value for told in field(agreed, "symbol").values] == ["BTC", "XBT"]
    other = agreement([stored("a", title="Bitcoin"), stored("b", title="Bitcoin Cash")], NOW)
    assert other.disagree == ("name",)
    signs = agreement([stored("a", title="$$$"), stored("b", title="???")], NOW)
    assert signs.disagree == ("name",)


@pytest.mark.parametrize(
    ("name", "one", "other", "agree", "share"),
    [
        ("rank", 1, 1, True, "0"),
        ("rank", 1, 2, False, "0.5"),
        ("circulating_supply", Decimal(99), 100, True, "0.01"),
        ("circulating_supply", Decimal("98.9"), 100, False, "0.011"),
        ("market_cap", 98, 100, True, "0.02"),
        ("volume_24h", 75, 100, True, "0.25"),
        ("volume_24h", 74, 100, False, "0.26"),
        ("price_change_percentage_24h", Decimal("-0.4"), Decimal("0.6"), True, "1.666667"),
        ("price_change_percentage_24h", Decimal("-0.5"), Decimal("0.6"), False, "1.833333"),
        ("total_supply", 0, 0, True, "0"),
        ("total_supply", 0, 5, False, "1"),
        ("category", "Layer 1", "layer-1", True, None),
        ("category", "Layer 1", "Layer 2", False, None),
        ("listed", True, False, False, None),
    ],
)  # fmt: skip
def test_fields_agree_within_their_bounds(name: str, one: Any, other: Any, agree: bool, share: str | None) -> None:
    """Ranks are equal or not, supplies may lie a percent apart, volumes a quarter, percentages a point; texts fold."""
    records = [stored("a", attributes={name: one}), stored("b", attributes={name: other})]
    found = field(agreement(records, NOW), name)
    assert (found.agree, found.share) == (agree, None if share is None else Decimal(share))


def test_what_is_not_comparable_is_no_field() -> None:
    """Dates, addresses, prose, lists, nulls, and what one source alone gives, say nothing of agreement."""
    said = {"ath_date": "2021", "updated_at": "x", "image": "u", "url": "u", "summary": "y" * 201, "tags": ["a"]}
    records = [stored("a", attributes={**said, "n": None, "only": 1}), stored("b", attributes={**said, "n": 5})]
    assert agreement(records, NOW).fields == ()


def test_money_is_compared_in_one_currency() -> None:
    """Amounts of money in the currency of most, ranks and supplies in any."""
    attributes = {"market_cap": 100, "rank": 1, "max_supply": 21}
    records = [
        stored("a", "1", attributes=attributes),
        stored("b", "1", attributes=attributes),
        stored("c", "1", attributes={**attributes, "market_cap": 5}, currency="EUR"),
    ]
    agreed = agreement(records, NOW)
    assert [told.source for told in field(agreed, "market_cap").values] == ["a", "b"]
    assert [told.source for told in field(agreed, "max_supply").values] == ["a", "b", "c"]
    assert agreed.disagree == ()


@given(st.lists(st.tuples(decimals(), st.integers(-1, 2)), min_size=2, max_size=4), st.randoms())
def test_order_does_not_matter_and_nothing_is_rounded(values: list[tuple[Decimal, int]], random: Any) -> None:
    """Any Decimals of the core, in any order, give the same answer, whose spread adds up exactly."""
    records = [stored(f"s{n}", value, old=COMPARABLE * hours) for n, (value, hours) in enumerate(values)]
    agreed = agreement(records, NOW)
    random.shuffle(records)
    assert agreement(records, NOW) == agreed
    for price in agreed.prices:
        assert Fraction(price.high) - Fraction(price.low) == Fraction(price.spread)
        assert price.share >= 0
