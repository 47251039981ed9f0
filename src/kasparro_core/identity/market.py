"""Markets as evidence: prices of one day, ranks of one year."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from kasparro_core.model.entity import Market

_TOGETHER = timedelta(hours=26)
_ONE_ERA = timedelta(days=365)
_AGREE, _DIFFER = Decimal("1.05"), Decimal(3)
_PEGGED = (Decimal("0.9"), Decimal("1.1"))


def markets_agree(one: Market, other: Market) -> bool | None:
    """True where the prices are the same, False where they are far apart, None where they tell nothing: seen at other
    times, in other currencies, or both about 1, as those of all stablecoins are."""
    ratio = _ratio(one, other)
    if ratio is None:
        return None
    if ratio > _DIFFER:
        return False
    return True if ratio <= _AGREE and not _pegged(one.value) else None


def of_one_era(one: Market, other: Market) -> bool:
    """False where the two were seen more than a year apart: coins die, and their symbols are given away."""
    if one.seen_at is None or other.seen_at is None:
        return True
    return abs(one.seen_at - other.seen_at) <= _ONE_ERA


def _ratio(one: Market, other: Market) -> Decimal | None:
    if not one.value or not other.value or one.currency != other.currency or not one.currency:
        return None
    if one.seen_at is None or other.seen_at is None or abs(one.seen_at - other.seen_at) > _TOGETHER:
        return None
    low, high = sorted((abs(one.value), abs(other.value)))
    return high / low


def _pegged(value: Decimal | None) -> bool:
    return value is not None and _PEGGED[0] <= value <= _PEGGED[1]
