"""What stands out about a record, in one sentence for a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.policy.outliers import Expected
from kasparro_core.policy.plausible import Behind, Implausible
from kasparro_core.policy.spread import Pair

_DAY = timedelta(days=2)
_GROUPED = 1_000
_FLOAT_DIGITS = 18  # with 17 of them any two floats differ
_ZEROS = 24  # of more digits than these nobody reads how many there are


def amount(value: Decimal, currency: str | None) -> str:
    """A figure as people write it.

    >>> (
    ...     amount(Decimal("3333370870735"), "USD"),
    ...     amount(Decimal("5.40"), None),
    ...     amount(Decimal("0.00000012345678"), "BTC"),
    ...     amount(Decimal("1.2E-900"), None),
    ... )
    ('3,333,370,870,735 USD', '5.4', '0.000000123457 BTC', '1.2e-900')
    """
    short = Decimal(f"{value:.6g}").normalize()
    if not -_ZEROS <= short.adjusted() <= _ZEROS:
        digits = f"{short:e}"
    else:
        digits = f"{value:,.0f}" if abs(value) >= _GROUPED else f"{short:f}"
    return digits if currency is None else f"{digits} {currency}"


def _figure(value: float, currency: str | None) -> str:
    return amount(Decimal(repr(value)), currency)


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Two figures with three digits, and as many more as it takes to see that they differ.

    >>> told_apart(2.5, 1.25), told_apart(158.2, 157.9), told_apart(1752.0, 1751.0)
    (('2.5', '1.25'), ('158.2', '157.9'), ('1,752', '1,751'))
    """
    for digits in range(3, _FLOAT_DIGITS):
        figures = Decimal(f"{one:.{digits}g}"), Decimal(f"{other:.{digits}g}")
        if figures[0] != figures[1]:
            break
    first, second = (f"{each:,f}" if each.adjusted() <= _ZEROS else f"{each:e}" for each in figures)
    return first, second


def span(time: timedelta) -> str:
    """A length of time.

    >>> span(timedelta(hours=7, minutes=30)), span(timedelta(days=57, hours=1))
    ('7.5 hours', '57.0 days')
    """
    hours = time.total_seconds() / 3600
    return f"{hours:.1f} hours" if time < _DAY else f"{hours / 24:.1f} days"


def off(key: str, value: Decimal, currency: str | None, expected: Expected) -> str:
    """A value outside of what its past lets expect."""
    low, high = amount(expected.low, None), amount(expected.high, currency)
    return (
        f"{key} is at {amount(value, currency)}, outside of the {low} to {high} that its {expected.history} earlier "
        f"values let expect; the last of them lay around {amount(expected.level, currency)}."
    )


def ranked_high(found: Implausible) -> str:
    """A place in a ranking that its trade does not bear out."""
    asset = found.asset
    return (
        f"{asset.key} is ranked {asset.rank:,} by a market cap of {_figure(asset.market_cap, asset.currency)}, but "
        f"{_figure(asset.volume, asset.currency)} were traded in 24 hours; the {found.neighbours} assets ranked next "
        f"to it usually trade {_figure(found.usual, asset.currency)}, and at least "
        f"{_figure(found.least, asset.currency)} was to be expected."
    )


def left_behind(found: Behind) -> str:
    """Something older than its siblings."""
    return (
        f"{found.key} is as of {rfc3339(found.said)}, {span(found.usual - found.said)} before its siblings, which are "
        f"as of {rfc3339(found.usual)}; nothing before {rfc3339(found.earliest)} was to be expected."
    )


def silent(key: str, silence: timedelta, moved: int) -> str:
    """Something that stopped moving."""
    return (
        f"{key} has not changed for {span(silence)}, far longer than ever before, while {moved:,} other records of its "
        "source have just changed."
    )


def went_back(key: str, stood: datetime, said: datetime) -> str:
    """A source that takes back how far it was."""
    return (
        f"{key} went back in time: its source now says that it is as of {rfc3339(said)}, {span(stood - said)} before "
        f"the {rfc3339(stood)} that it had said earlier."
    )


def far_apart(entity: str, pair: Pair, currency: str, usual: float, odd: str | None) -> str:
    """Sources that disagree."""
    a, b = (f"{each.source} has {amount(each.value, currency)}" for each in pair)
    who = "" if odd is None else f" What the other sources have is far from that of {odd}."
    factor, most = told_apart(pair.factor, usual)
    return (
        f"For {entity} {a} and {b} at about the same time, a factor of {factor}; up to {most} is nothing special for "
        f"these two.{who}"
    )


def many(count: int, looked: int, first: str) -> str:
    """More at once than to be told one by one."""
    return f"{count:,} of the {looked:,} records that were looked at stand out in this way. The first of them: {first}"
