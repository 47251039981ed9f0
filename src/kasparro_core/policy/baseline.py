"""What a figure of a run is expected to be, by what it was in earlier successful runs of the same source.

The middle is the median. How far a figure usually strays is measured on each side by itself: by the median of the
distances there (MAD) and by the distance to the 5th or 95th percentile, whichever says more. So a few bad runs do not
decide, and a long tail is not forgotten. Runs of the same hour of the week are taken alone where there are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import islice, pairwise
from math import sqrt
from operator import attrgetter
from typing import NamedTuple

from kasparro_core.model.run import SUCCESSES, RunStatus
from kasparro_core.policy.figure_rules import Rule, rule_of

FEWEST = 8
"""Earlier runs below which nothing is expected: the median and a percentile of fewer are chance."""

FEWEST_ALIKE = 3
"""Runs of the same hour of the week below which they are not taken alone. One week of a source that runs every hour
has so many."""

NEWEST = 200
"""So many of the newest runs speak for a source whatever the hour."""

WEEKS = 8
"""So many weeks are looked back on for runs of the same hour of the week. What was longer ago is another season."""

STRAYS = 3.0
"""Standard deviations from the middle to where a figure is still as expected. Of a normal distribution one in four
hundred lies beyond, so a run alone says little; two in a row do."""

FAR = 8.0
"""Standard deviations beyond which one run says enough. Figures of sources have long tails: of some, one in a thousand
lies beyond six."""

WHOLE_WEEK = timedelta(days=8)
"""Runs that span less hold no whole week: what nights and weekends do is not known of them."""

SEEN = 3
"""What so many earlier runs showed is not news. So a new level that stays is told three times."""

_HOUR = timedelta(hours=1)
_WEEK = timedelta(weeks=1)
_MAD = 1.4826  # of a normal distribution, the MAD times this is the standard deviation
_DOUBT = 1.57  # the median of n values strays by the root of 1.57/n deviations
_TAIL = 0.05
_TAIL_DEVIATIONS = 1.645  # and 5 % of it lie beyond so many standard deviations
_DIGITS = 6


class Basis(StrEnum):
    """Which runs a range was made of."""

    HOUR_OF_WEEK = "hour_of_week"
    RECENT = "recent"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to. `values`: by metric; None (or absent): the run says nothing about that metric."""

    run_id: int
    started_at: datetime
    status: RunStatus
    values: Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high` (both belong to it) a figure is as expected; None: no bound on that side. `spread` is the
    standard deviation as the samples let guess it: of the figure, or where distances are ratios, of its logarithm.
    `samples` is how many runs it was made of."""

    low: Decimal | None
    high: Decimal | None
    centre: Decimal
    spread: Decimal
    samples: int
    basis: Basis

    def holds(self, value: Decimal) -> bool:
        """True when the value is as expected."""
        return not self.is_below(value) and not self.is_above(value)

    def is_below(self, value: Decimal) -> bool:
        """True when the value is less than expected."""
        return self.low is not None and value < self.low

    def is_above(self, value: Decimal) -> bool:
        """True when the value is more than expected."""
        return self.high is not None and value > self.high


def same_hour(at: datetime) -> list[tuple[datetime, datetime]]:
    """The spans of earlier weeks, latest first, in which runs began at the hour of the week of `at` or one beside it: a
    change to summer time moves what people do by an hour."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    starts = (hour - week * _WEEK - _HOUR for week in range(1, WEEKS + 1))
    return [(start, start + 3 * _HOUR) for start in starts]


class Baseline:
    """What the earlier runs of a source let expect for a run that begins at `at`. Of the history, in any order, only
    successful runs that began before count: the newest ones, and those of `same_hour`, which are `alike`.
    `history`: all of them, oldest first."""

    def __init__(self, history: Sequence[Figures], at: datetime) -> None:
        before = [each for each in history if each.status in SUCCESSES and each.started_at < at]
        before.sort(key=attrgetter("started_at"))
        self.history = before
        self.alike = _alike(before, at)
        self._at = at

    def expected(self, metric: str, *, strays: float = STRAYS) -> Range | None:
        """Where a metric is expected to be. None: too few runs tell of it."""
        rule = rule_of(metric)
        recent = _values(reversed(self.history), metric, NEWEST)
        if len(recent) < FEWEST:
            return None
        values = rule.scaled(value for _, value in recent)
        alike = rule.scaled(value for _, value in _values(self.alike, metric))
        if len(alike) >= FEWEST_ALIKE:
            spread = (
                _joined(_spread(alike, with_tail=False), _noise(values)) if len(alike) >= FEWEST else _noise(values)
            )
            return _range(rule, alike, spread, strays, rule.least, values if rule.at_any_hour else ())
        is_known = self._at - recent[-1][0] >= WHOLE_WEEK or rule.is_steady(values)
        return _range(
            rule, values, _spread(values, with_tail=True), strays, rule.least if is_known else rule.least_at_first
        )


def _alike(history: Iterable[Figures], at: datetime) -> list[Figures]:
    """Those that began in one of the spans of `same_hour`."""
    (_, end), *_, (first, first_end) = same_hour(at)
    length = first_end - first
    return [each for each in history if first <= each.started_at < end and (each.started_at - first) % _WEEK < length]


def expected(history: Sequence[Figures], metric: str, at: datetime) -> Range | None:
    """What a `Baseline` says of one metric."""
    return Baseline(history, at).expected(metric)


def _values(line: Iterable[Figures], metric: str, most: int | None = None) -> list[tuple[datetime, Decimal]]:
    """The values of a metric, each with when its run began."""
    told = ((each.started_at, value) for each in line if (value := each.values.get(metric)) is not None)
    return list(islice(told, most))


def _range(
    rule: Rule,
    values: Sequence[float],
    spread: _Spread,
    strays: float,
    least: float,
    others: Sequence[float] | None = None,
) -> Range:
    """Of values on the rule's scale. `others`: what else was seen, where `values` are those of one hour of the week."""
    ordered = sorted(values)
    middle = _median(ordered)
    doubt = sqrt(1 + _DOUBT / len(ordered))
    low = middle - max(strays * doubt * spread.below, least)
    high = middle + max(strays * doubt * spread.above, least)
    for seen in (ordered, sorted(others or ())):
        if len(seen) >= 2 * SEEN:
            low, high = min(low, rule.beyond(seen[SEEN - 1], -1)), max(high, rule.beyond(seen[-SEEN], 1))
    return Range(
        low=_rounded(max(rule.plain(low), 0.0)) if rule.down else None,
        high=_rounded(min(rule.plain(high), rule.most)) if rule.up else None,
        centre=_rounded(rule.plain(middle)),
        spread=_rounded(max(spread)),
        samples=len(values),
        basis=Basis.RECENT if others is None else Basis.HOUR_OF_WEEK,
    )


class _Spread(NamedTuple):
    """Standard deviations on both sides of the middle."""

    below: float
    above: float


def _spread(values: Sequence[float], *, with_tail: bool) -> _Spread:
    """As the values themselves show it. `with_tail`: also the twentieth that strays most, as nights and weekends do."""
    ordered = sorted(values)
    middle = _median(ordered)
    distances = [value - middle for value in ordered]
    sides = [-each for each in reversed(distances)], distances
    return _Spread(*(_deviation(side, with_tail=with_tail) for side in sides))


def _deviation(ascending: Sequence[float], *, with_tail: bool) -> float:
    """Of one side, by distances to the middle in ascending order; those of the other side are negative."""
    samples = len(ascending)
    tail = ascending[samples - 2 - int(_TAIL * (samples - 1))] if with_tail else 0.0
    return max(_MAD * _median(ascending[samples // 2 :]), tail / _TAIL_DEVIATIONS, 0.0)


def _noise(values: Sequence[float]) -> _Spread:
    """As the differences between runs show it that follow one another: the rhythm of a day is hardly in them."""
    steps = sorted(abs(one - other) for one, other in pairwise(values))
    deviation = _MAD * _median(steps) / sqrt(2)
    return _Spread(deviation, deviation)


def _joined(one: _Spread, other: _Spread) -> _Spread:
    return _Spread(*map(max, one, other))


def _median(ordered: Sequence[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _rounded(value: float) -> Decimal:
    """Six digits say all that an estimate can."""
    return Decimal(f"{value:.{_DIGITS}g}")
