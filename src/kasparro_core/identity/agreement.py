"""What the sources of one entity agree on: the spread of their prices, and every figure and name that two of them give.

Figures move, so that two of them can only be compared when they held at about the same time. A record is dated by its
`occurred_at`, and one without by its `updated_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any

from kasparro_core.identity.names import squeezed
from kasparro_core.identity.symbols import canonical_symbol
from kasparro_core.model.record import StoredRecord

COMPARABLE = timedelta(hours=1)
"""Figures that lie further behind the newest one are stale, and are not compared with it."""

AHEAD = timedelta(minutes=5)
"""A record dated further in the future than clocks differ: nothing is measured by it."""

PRICE_SHARE = Decimal("0.02")
"""Prices of one asset that differ by more disagree."""

_SHARES: Mapping[str, Decimal] = {
    "rank": Decimal(0),
    "market_cap": Decimal("0.02"),
    "fully_diluted_valuation": Decimal("0.02"),
    "volume_24h": Decimal("0.25"),  # each provider counts other exchanges
}
_SHARE = Decimal("0.01")
_POINTS = Decimal(1)
"""Percentages may lie a point apart: near 0 a share of them says nothing."""

_OF_NO_CURRENCY = ("rank", "supply", "percentage")
_OF_THE_SOURCE = ("_date", "_at", "image", "url")
"""Attributes (by the end of their names) that say something of the source rather than of the asset."""

_LONGEST = 200
"""Longer texts are prose, in which no two sources agree."""

_PRECISION = 4100
"""Digits in which the difference of any two Decimals of the core is exact."""
_PLACES = Decimal("0.000001")


class LeftOut(StrEnum):
    """Why figures are not compared: older than the others', dated in the future, or no longer listed."""

    STALE = "stale"
    AHEAD = "ahead"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A source whose figures are not compared. `behind_seconds`: how much older than the newest; negative: newer."""

    source: str
    reason: LeftOut
    at: datetime
    behind_seconds: Decimal


@dataclass(frozen=True, slots=True)
class Spread:
    """The prices of two or more sources in one currency. `spread` is high - low, exactly; `share` is that part of the
    higher one, to six places."""

    currency: str | None
    sources: tuple[str, ...]
    low: Decimal
    low_source: str
    high: Decimal
    high_source: str
    spread: Decimal
    share: Decimal
    agree: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What one source says."""

    source: str
    value: Any


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """A field that two or more sources give. `share`: of numbers, how far apart they are, as in `Spread`."""

    field: str
    agree: bool
    share: Decimal | None
    values: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the sources of one entity agree on.

    `as_of`: the newest instant that counts, None where there is none. `prices`: a spread for each currency in which
    two sources give one, those of most sources first. `disagree`: the fields (and "price") on which they differ.
    """

    as_of: datetime | None
    within_seconds: int
    prices: tuple[Spread, ...]
    fields: tuple[FieldAgreement, ...]
    disagree: tuple[str, ...]
    left_out: tuple[Uncounted, ...]


def agreement(latest: Sequence[StoredRecord], now: datetime) -> Agreement:
    """Compare the latest record of every source of one entity, one for each source; order does not matter."""
    ordered = sorted(latest, key=lambda stored: stored.record.source)
    as_of = _newest(ordered, now)
    left_out = [out for stored in ordered if (out := _left_out(stored, as_of, now)) is not None]
    absent = {out.source for out in left_out}
    counted = [stored for stored in ordered if stored.record.source not in absent]
    prices = _spreads(counted)
    fields = (*_words(ordered), *_attributes(counted))
    differing = [field.field for field in fields if not field.agree]
    apart = [] if all(price.agree for price in prices) else ["price"]
    return Agreement(as_of, int(COMPARABLE.total_seconds()), prices, fields, (*apart, *differing), tuple(left_out))


def dated(stored: StoredRecord) -> datetime:
    """The instant at which a record holds."""
    return stored.record.occurred_at or stored.updated_at


def _newest(latest: Iterable[StoredRecord], now: datetime) -> datetime | None:
    """Of records with a value where there are any: what has none is no measure of how fresh a price is."""
    there = [stored for stored in latest if stored.gone_at is None and dated(stored) <= now + AHEAD]
    priced = [stored for stored in there if stored.record.value is not None]
    return max(map(dated, priced or there), default=None)


def _left_out(stored: StoredRecord, as_of: datetime | None, now: datetime) -> Uncounted | None:
    at = dated(stored)
    behind = (now if as_of is None else as_of) - at
    if stored.gone_at is not None:
        reason = LeftOut.GONE
    elif at > now + AHEAD:
        reason = LeftOut.AHEAD
    elif behind > COMPARABLE:
        reason = LeftOut.STALE
    else:
        return None
    return Uncounted(stored.record.source, reason, at, _seconds(behind))


def _seconds(span: timedelta) -> Decimal:
    return (Decimal(span // timedelta(microseconds=1)) / 1_000_000).normalize() + 0


def _spreads(counted: Sequence[StoredRecord]) -> tuple[Spread, ...]:
    by_currency: dict[str | None, list[tuple[Decimal, str]]] = {}
    for stored in counted:
        record = stored.record
        if record.value is not None:
            by_currency.setdefault(_currency(record.currency), []).append((record.value, record.source))
    found = [_spread(currency, values) for currency, values in by_currency.items() if len(values) > 1]
    return tuple(sorted(found, key=lambda spread: (-len(spread.sources), spread.currency or "")))


def _spread(currency: str | None, values: Sequence[tuple[Decimal, str]]) -> Spread:
    (low, low_source), (high, high_source) = min(values), max(values)
    spread, share = _apart([value for value, _ in values])
    sources = tuple(source for _, source in values)
    return Spread(currency, sources, low, low_source, high, high_source, spread, share, share <= PRICE_SHARE)


def _apart(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """The distance between the lowest and the highest, exactly, and as a share of the one that is further from 0."""
    low, high = min(values), max(values)
    with localcontext(prec=_PRECISION):
        spread = high - low
        most = max(abs(low), abs(high))
        return spread, (spread / most).quantize(_PLACES).normalize() + 0 if most else Decimal(0)


def _words(latest: Sequence[StoredRecord]) -> list[FieldAgreement]:
    """Names and symbols do not age."""
    there = [stored.record for stored in latest if stored.gone_at is None]
    names = [Told(record.source, record.title) for record in there if record.title]
    symbols = [Told(record.source, record.symbol) for record in there if record.symbol]
    return [*_same("name", names, _plain), *_same("symbol", symbols, canonical_symbol)]


def _plain(text: str) -> str:
    return squeezed(text) or text.strip()


def _attributes(counted: Sequence[StoredRecord]) -> list[FieldAgreement]:
    """Attributes that two sources give, by name. Amounts of money are compared in the currency that most are in."""
    main = _main_currency(counted)
    given: dict[str, list[Told]] = {}
    for record in (stored.record for stored in counted):
        for name, value in record.attributes.items():
            of_money = _is_number(value) and not _has_no_currency(name)
            if _is_comparable(name, value) and (not of_money or _currency(record.currency) == main):
                given.setdefault(name, []).append(Told(record.source, value))
    return [found for name in sorted(given) for found in _compared(name, given[name])]


def _compared(name: str, told: Sequence[Told]) -> list[FieldAgreement]:
    if all(_is_number(each.value) for each in told):
        return _close(name, told)
    return _same(name, told, lambda value: _plain(str(value)))


def _close(name: str, told: Sequence[Told]) -> list[FieldAgreement]:
    if len(told) < 2:
        return []
    exact = tuple(Told(each.source, Decimal(each.value)) for each in told)
    spread, share = _apart([each.value for each in exact])
    agree = spread <= _POINTS if "percentage" in name else share <= _SHARES.get(name, _SHARE)
    return [FieldAgreement(name, agree, share, exact)]


def _same(name: str, told: Sequence[Told], canonical: Callable[[str], Hashable]) -> list[FieldAgreement]:
    if len(told) < 2:
        return []
    return [FieldAgreement(name, len({canonical(each.value) for each in told}) == 1, None, tuple(told))]


def _is_comparable(name: str, value: Any) -> bool:
    if name.endswith(_OF_THE_SOURCE):
        return False
    return _is_number(value) or isinstance(value, bool) or (isinstance(value, str) and len(value) <= _LONGEST)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _has_no_currency(name: str) -> bool:
    return any(word in name for word in _OF_NO_CURRENCY)


def _main_currency(counted: Iterable[StoredRecord]) -> str | None:
    given = [_currency(stored.record.currency) for stored in counted]
    return min(given, key=lambda currency: (-given.count(currency), currency or ""), default=None)


def _currency(currency: str | None) -> str | None:
    return currency.strip().upper() if currency else None
