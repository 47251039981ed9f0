"""What several sources say of one thing at about the same time: how far apart they are, and whether that is usual.

Two markets never agree to the last digit, and thinly traded assets differ by a lot for years. So a spread stands out
beside what it was before; where that is not known, beside the spreads of everything else that the two sources have in
common; and never below a floor. What lies by little beyond all that was before is a step like any other, however wide
the spread has always been: so the floor of the known is a factor beyond the widest one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations
from statistics import median
from typing import NamedTuple

from kasparro_core.policy.logarithms import natural_log

COMPARABLE = timedelta(minutes=30)
"""Values that held further apart in time are not compared."""

FLOOR_KNOWN = 1.25
"""A spread that is not wider by this factor than what is usual never stands out, where that is known. So none does
below it."""

FLOOR_UNKNOWN = 2.0
"""Where it is not."""

FEWEST_EARLIER = 5
"""Earlier spreads of one asset from which on they say what is usual."""

FEWEST_OTHERS = 5
"""Other assets of two sources from which on they do."""

_SCORES = 10.0
_TIMES = 3.0
_MAD = 1.4826
_LARGEST = 700.0  # e to this power is about the largest float


class Quoted(NamedTuple):
    """What a source says of a thing, and when that held."""

    source: str
    record_id: int
    value: Decimal
    at: datetime


class Pair(NamedTuple):
    """Two values of one thing. `factor` is the higher one divided by the lower one."""

    a: Quoted
    b: Quoted

    @property
    def factor(self) -> float:
        """1.0: they agree."""
        return math.exp(min(self.distance, _LARGEST))

    @property
    def distance(self) -> float:
        """The logarithm of the factor."""
        return abs(natural_log(self.a.value / self.b.value))


def widest(quoted: Sequence[Quoted]) -> Pair | None:
    """The two that are furthest apart, among those that can be compared: positive, of different sources, at about the
    same time. None: there are no two."""
    pairs = (Pair(*two) for two in combinations(sorted(quoted), 2) if _comparable(*two))
    return max(pairs, key=lambda pair: pair.distance, default=None)


def odd_one(pair: Pair, quoted: Iterable[Quoted]) -> Quoted | None:
    """Which of the two is further from what all say. None: there is no third one to ask."""
    values = sorted(each.value for each in quoted)
    middle = values[len(values) // 2]
    if len(values) < 3:  # two do not outvote each other
        return None
    return max(pair, key=lambda each: abs(natural_log(each.value / middle)))


def usual_factor(earlier: Sequence[float], others: Sequence[float]) -> float:
    """Up to which factor a spread is nothing special. `earlier`: the distances (see `Pair`) of the same two values
    before, which are usual up to the widest of them, and to ten standard deviations; `others`: those of the other
    things that the same two sources have."""
    if len(earlier) >= FEWEST_EARLIER:
        middle = median(earlier)
        spread = _MAD * median(abs(each - middle) for each in earlier)
        return FLOOR_KNOWN * math.exp(min(max(middle + _SCORES * spread, *earlier), _MOST))
    if len(others) >= FEWEST_OTHERS:
        return max(FLOOR_UNKNOWN, math.exp(min(_TIMES * sorted(others)[len(others) * 95 // 100], _MOST)))
    return FLOOR_UNKNOWN


_MOST = 50.0


def earlier_distances(a: Sequence[tuple[datetime, Decimal]], b: Sequence[tuple[datetime, Decimal]]) -> list[float]:
    """How far apart two series were, at each change of the first one for which the second one has a value of about the
    same time. Both in the order of time."""
    found: list[float] = []
    at = 0
    for when, value in a:
        while at + 1 < len(b) and abs(b[at + 1][0] - when) <= abs(b[at][0] - when):
            at += 1
        if b and abs(b[at][0] - when) <= COMPARABLE and value > 0 and b[at][1] > 0:
            found.append(abs(natural_log(value / b[at][1])))
    return found


def _comparable(a: Quoted, b: Quoted) -> bool:
    return a.source != b.source and a.value > 0 and b.value > 0 and abs(a.at - b.at) <= COMPARABLE
