"""Runs that fail, and runs that bring nothing: always told, but a row of them once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import groupby, takewhile
from math import comb
from statistics import median
from typing import NamedTuple

from kasparro_core.model.run import SUCCESSES, RunStatus
from kasparro_core.policy.baseline import SEEN

OFTEN = 3
"""A source that failed so many times among its `LAST` runs, with successes in between, is one that fails now and then:
that is one finding which stands, and not one a day."""

LAST = 20

FEWEST_BEFORE = 3
"""So many runs that brought something, or nothing, before one that brings nothing is judged: an upstream that is read
from a mark on often brings everything at first and then nothing for a while."""

FRESH = timedelta(days=14)
"""What happened longer ago than this is news when it happens again: a list that is empty once a month should not be."""

ENOUGH = 10
"""Items that come by ones and twos stay away now and then. That so many do which were due, in one run or in several in
a row, is no chance: of independent ones, 1 in 20,000."""

_CHANCE = 0.01
_NEXT_TO_NOTHING = Decimal("0.1")  # a tenth of what there usually is


class Streak(NamedTuple):
    """So many runs in a row, this one included. `times`: how many such rows there were among the last runs."""

    in_a_row: int
    times: int

    @property
    def stands(self) -> bool:
        """Whether it is about the source by now, and not about one run."""
        return self.in_a_row > 1 or self.times >= OFTEN


def failing(before: Iterable[RunStatus], now: RunStatus) -> Streak:
    """The failures up to this run (`before`: in the order in which they were made), if any. Runs that were stopped are
    left out: whoever stopped them knows. Without a success before there is nothing to be told."""
    judged = [status is RunStatus.FAILED for status in before if status in SUCCESSES or status is RunStatus.FAILED]
    if all(judged):
        return Streak(0, 0)
    lately = [*judged, now is RunStatus.FAILED]
    return Streak(_trailing(lately), _rows(lately[-LAST:]))


def empty(before: Sequence[Decimal], alike: Sequence[Decimal], lately: int | None = None) -> Streak | None:
    """A run that brings nothing, after runs that brought so much (in the order in which they were made), some of them
    at the same hour of the week. `lately`: so many of the runs before were within `FRESH`; without it, all. None: that
    is usual here, or too little is known."""
    in_a_row = _trailing([value == 0 for value in before])
    rest = before[: len(before) - in_a_row]
    if len(rest) < FEWEST_BEFORE:
        return None
    usual = median(alike or rest)
    if _comes_by_ones(alike or rest, usual) and usual * (in_a_row + 1) < ENOUGH:
        return None
    least = usual * _NEXT_TO_NOTHING
    quiet, quiet_alike = ([value <= least for value in some] for some in (rest, alike))
    if quiet[-1]:  # it had fallen silent before, little by little
        return None
    times = _rows(quiet if lately is None else quiet[max(len(before) - lately, 0) :])
    if len(alike) >= FEWEST_BEFORE and 2 * sum(quiet_alike) >= len(alike):  # a night, a weekend
        return None
    if times >= SEEN and not _are_fewer(quiet_alike, sum(quiet) / len(quiet)):
        return None
    return Streak(in_a_row + 1, times + 1)


def _comes_by_ones(values: Sequence[Decimal], usual: Decimal | float) -> bool:
    """Whether there was half of what is usual, or less, before: a list of three things always has three."""
    return 2 * min(values) <= usual


def _are_fewer(flags: Sequence[bool], share: float) -> bool:
    """Whether of so many, each with this probability, hardly ever so few would be: it is the other hours that are
    quiet."""
    count = len(flags)
    return sum(comb(count, n) * share**n * (1 - share) ** (count - n) for n in range(sum(flags) + 1)) < _CHANCE


def _rows(flags: Iterable[bool]) -> int:
    return sum(flag for flag, _ in groupby(flags))


def _trailing(flags: Sequence[bool]) -> int:
    return sum(1 for _ in takewhile(bool, reversed(flags)))
