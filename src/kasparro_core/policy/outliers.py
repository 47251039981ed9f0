"""A value beside its own past: what a series lets expect next, and what lies so far off that somebody should look.

A price wanders: where it stood weeks ago says little of where it may stand now. What its past does say is how far it
goes from one state to the next. So a value is judged by its distance from the last few values, against the size of
the steps before it (in logarithms where all values are positive: a factor of 2 is as far up as down). A value that
drifts away gradually never stands out; one that jumps does, once it jumps further than such steps and than FACTOR.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from kasparro_core.policy.logarithms import natural_log

WINDOW = 30
"""Earlier values of a series that are looked at."""

FEWEST = 10
"""Earlier values below which nothing is said of the next one."""

FACTOR = 2.0
"""A positive value within this factor of its last few never stands out; another one within this share of them."""

LIKELY = 12.0
"""So many usual steps (one standard deviation, robustly) are no surprise: prices have fat tails."""

_NEAR = 5
"""The last few values, whose median is where the series stands."""

_COARSE = 5
"""So many units of the last digit are rounding, and no move."""

_ROUNDED = 100
"""A value of so many units of its last digit is never rounded to zero."""

_MAD = 1.4826
"""From a median of absolute deviations to a standard deviation of normal ones (Rousseeuw and Croux 1993)."""

_NINETIETH = 1.6449
"""The same for their ninetieth percentile."""


class Point(NamedTuple):
    """A value and the instant at which it held."""

    at: datetime
    value: Decimal


class Expected(NamedTuple):
    """Where a value was to be expected, around the median of the last few (`level`), after so many values. `positive`:
    all of these were, and are compared by factors."""

    low: Decimal
    high: Decimal
    level: Decimal
    history: int
    positive: bool

    def holds(self, value: Decimal) -> bool:
        """The value lies inside."""
        return self.low <= value <= self.high


def jumps(value: Decimal, last: Decimal) -> bool:
    """The value lies so far from the last one that it has to be judged: without that it never stands out. Cheap, for
    it is asked of everything that changed."""
    if value > 0 and last > 0:
        return value > last * 2 or last > value * 2
    return value != last


def strayed(before: Sequence[Point], point: Point, after: Sequence[Point] = ()) -> Expected | None:
    """What was expected in place of a value that stands out. None: it does not, or there is too little to tell from.

    `before` and `after` are the values of the same series around it, in the order of time. Where later ones are known,
    a value that they keep to is a move of the series and no outlier.
    """
    before = before[-WINDOW:]
    if len(before) < FEWEST or not jumps(point.value, before[-1].value):
        return None
    expected = _expected(before, point)
    if expected is None or expected.holds(point.value):
        return None
    if after and _is_near(point, after[:_NEAR], expected):
        return None
    return expected


def _expected(before: Sequence[Point], point: Point) -> Expected | None:
    values = [each.value for each in before]
    level = _middle(values[-_NEAR:])
    if any(value <= 0 for value in values):
        return _linear(before, point, level) if any(values) else None
    if point.value <= 0 and level < _ROUNDED * _unit(values):
        return None
    width = max(math.log(FACTOR), LIKELY * _step([natural_log(value) for value in values], before, point))
    if width > _WIDEST:
        return None
    factor = Decimal(math.exp(width))
    slack = _COARSE * _unit([*values, point.value])
    return Expected(_six(level / factor - slack), _six(level * factor + slack), level, len(before), positive=True)


_WIDEST = 20.0
"""A range of this many logarithms either way expects anything."""


def _linear(before: Sequence[Point], point: Point, level: Decimal) -> Expected:
    """Of values that are not all positive, nor all zero: distances instead of factors, in units of the largest value,
    which are also the least that is expected."""
    largest = max(abs(each.value) for each in before)
    values = [float(each.value / largest) for each in before]
    width = largest * Decimal(max(FACTOR - 1, LIKELY * _step(values, before, point)))
    return Expected(_six(level - width), _six(level + width), level, len(before), positive=False)


def _step(values: Sequence[float], before: Sequence[Point], point: Point) -> float:
    """How far the series usually goes in the time from its level to the point. The steps of the ninetieth percentile
    count as much as those of the median: a series that jumps now and then is expected to."""
    steps = sorted(abs(b - a) for a, b in itertools.pairwise(values))
    usual = max(_MAD * median(steps), steps[len(steps) * 9 // 10] / _NINETIETH)
    times = [each.at for each in before]
    typical = median((b - a).total_seconds() for a, b in itertools.pairwise(times))
    waited = (point.at - times[-1]).total_seconds()
    pause = max(waited / typical - 1, 0.0) if typical > 0 else 0.0
    return usual * math.sqrt((_NEAR + 1) / 2 + pause)


def _is_near(point: Point, after: Sequence[Point], expected: Expected) -> bool:
    """The values that follow are as near to the point as it was expected to be to those before it."""
    level = _middle([each.value for each in after])
    if not expected.positive:
        return abs(point.value - level) <= expected.high - expected.level
    if point.value <= 0 or level <= 0:
        return point.value <= 0 and level <= 0
    return abs(natural_log(point.value / level)) <= natural_log(expected.high / expected.level)


def _middle(values: Sequence[Decimal]) -> Decimal:
    return sorted(values)[len(values) // 2]


def _unit(values: Sequence[Decimal]) -> Decimal:
    """The smallest last digit among the values: the upstream writes no finer ones."""
    return Decimal(1).scaleb(min(int(value.normalize().as_tuple().exponent) for value in values))


def _six(value: Decimal) -> Decimal:
    """Six digits: nobody needs more of a bound, and a finding is kept with them."""
    return Decimal(f"{value:.6g}")
