"""Figures of one asset that contradict each other, judged against the rest of the same listing.

What a place in a ranking lets expect is nowhere written down, but the assets around that place show it: how much is
traded of those ranked about the same. Where they differ by orders of magnitude among themselves (the end of a long
list) nothing is implausible; where they agree, one that is traded a million times less has a made-up capitalization.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple

NEIGHBOURS = 50
"""Assets of about the same rank that one is compared with."""

FEWEST_NEIGHBOURS = 10
"""Fewer of them say nothing."""

LEAST = 100_000
"""An asset that is traded by less than this factor below the usual volume of its neighbours is never implausible."""

SCORES = 8.0
"""So many (robust) standard deviations below them, in logarithms. Recorded listings have living assets up to 6.4."""

_NARROWEST = 0.5
"""Neighbours that agree better than this (a standard deviation, in logarithms) agree by chance."""

_MAD = 1.4826

BEHIND = timedelta(days=1)
"""An asset whose figures are no older than this, beside the others', is not stale."""

FEWEST_SIBLINGS = 30
"""Of fewer assets nothing is said about how old their figures usually are."""

FEW = 0.1
"""A larger share of a listing than this does not lie behind the others."""

_BEHIND_SCORES = 20.0
_FIRST = datetime.min.replace(tzinfo=UTC)  # what programs write for a time that they do not know


class Ranked(NamedTuple):
    """What a listing says of an asset. `volume`: of 24 hours, in `currency`, as `market_cap`."""

    key: str
    currency: str | None
    rank: int
    market_cap: float
    volume: float


class Implausible(NamedTuple):
    """An asset that is traded far less than those of about its rank: what they trade usually (`usual`), what is the
    least to be expected, and with how many it was compared. `is_out`: it stands out; else it is on the way there."""

    asset: Ranked
    least: float
    usual: float
    neighbours: int
    score: float
    is_out: bool


class Markets(NamedTuple):
    """The assets of a listing that are `out`, the most striking first, and the keys of those that are `sound`. Of the
    others, those half-way in between and those without enough neighbours, nobody can say."""

    out: Sequence[Implausible] = ()
    sound: Sequence[str] = ()


def implausible(listing: Sequence[Ranked]) -> Markets:
    """Find the assets of a listing, in one currency, that are ranked high and hardly traded. Only where the neighbours
    are of the half that is traded more: further down nobody wonders. A volume of 0 is taken for the smallest one that
    is listed: most often nobody has measured it."""
    ordered = sorted((each for each in listing if each.rank > 0 and each.market_cap > 0), key=lambda each: each.rank)
    floor = min((each.volume for each in ordered if each.volume > 0), default=None)
    if floor is None:
        return Markets()
    volumes = [math.log(max(each.volume, floor)) for each in ordered]
    ranks = [each.rank for each in ordered]
    middle = median(volumes)
    judged = (
        _judged(ordered[at], _neighbours(ranks, volumes, at), volumes[at], middle) for at in _suspects(volumes, middle)
    )
    found = sorted((each for each in judged if each is not None), key=lambda each: -each.score)
    doubtful = {each.asset.key for each in found}
    sound = [each.key for at, each in enumerate(ordered) if each.key not in doubtful and _has_neighbours(ranks, at)]
    return Markets([each for each in found if each.is_out], sound)


def _suspects(volumes: Sequence[float], middle: float) -> Iterator[int]:
    """The places whose neighbours have to be looked at: with a volume far below the medians of the stretches of the
    ranking around them. A few of thousands."""
    starts = range(0, len(volumes), NEIGHBOURS)
    medians = [median(volumes[start : start + NEIGHBOURS]) for start in starts]
    for stretch, start in enumerate(starts):
        most = max(medians[max(0, stretch - 1) : stretch + 2])
        if most >= middle - _NEARLY:
            below = most - math.log(LEAST) / 4
            yield from (at for at in range(start, min(start + NEIGHBOURS, len(volumes))) if volumes[at] < below)


def _judged(asset: Ranked, near: Sequence[float], volume: float, middle: float) -> Implausible | None:
    if len(near) < FEWEST_NEIGHBOURS:
        return None
    usual = median(near)
    below = usual - volume
    if below < math.log(LEAST) / 2 or usual < middle - _NEARLY:  # most of them: the spread need not be known
        return None
    spread = max(_MAD * median(abs(each - usual) for each in near), _NARROWEST)
    most = max(SCORES * spread, math.log(LEAST))
    if below < most / 2:
        return None
    figures = math.exp(usual - most), math.exp(usual), len(near), round(below / spread, 1)
    return Implausible(asset, *figures, is_out=below > most and usual >= middle)


_NEARLY = math.log(10)
"""Neighbours that trade so much less (in logarithms) than the middle of a listing may be in its upper half the next
time."""


def _has_neighbours(ranks: Sequence[int], at: int) -> bool:
    low, high = _alike(ranks, at)
    return high - low > FEWEST_NEIGHBOURS


def _alike(ranks: Sequence[int], at: int) -> tuple[int, int]:
    """Where the ranks of about the same order begin and end, itself among them: a list may have holes."""
    return bisect_left(ranks, ranks[at] / 3), bisect_right(ranks, 3 * ranks[at] + 20)


def _neighbours(ranks: Sequence[int], volumes: Sequence[float], at: int) -> list[float]:
    """The volumes of the nearest ranks."""
    low, high = _alike(ranks, at)
    near = range(max(low, at - NEIGHBOURS), min(high, at + NEIGHBOURS + 1))
    places = sorted((place for place in near if place != at), key=lambda place: abs(ranks[place] - ranks[at]))
    return [volumes[place] for place in places[:NEIGHBOURS]]


class Behind(NamedTuple):
    """Something whose figures are older than those of its siblings: by how much, where `usual` is theirs."""

    key: str
    said: datetime
    usual: datetime
    earliest: datetime


class Ages(NamedTuple):
    """How old the items of a listing are: those far older than the others are `found`, and what is younger than
    `recent` is as old as they are."""

    found: Sequence[Behind]
    recent: datetime


def ages(said: Sequence[tuple[str, datetime]]) -> Ages | None:
    """Those whose own instant lies far before that of the others of the same listing, the furthest first. None, where
    there are too few to tell from, or where these are more than FEW of all: then it holds two kinds of things."""
    if len(said) < FEWEST_SIBLINGS:
        return None
    usual = sorted(at for _, at in said)[len(said) // 2]
    lags = [abs((usual - at).total_seconds()) for _, at in said]
    most = min(max(BEHIND, timedelta(seconds=_BEHIND_SCORES * _MAD * median(lags))), usual - _FIRST)
    found = [Behind(key, at, usual, usual - most) for key, at in said if at < usual - most]
    if len(found) > FEW * len(said):
        return None
    return Ages(sorted(found, key=lambda each: each.said), usual - most / 2)


class Fell(NamedTuple):
    """How long something has been silent, and how long was to be expected at most."""

    silence: timedelta
    patience: timedelta


def fell_silent(states: Sequence[datetime], now: datetime) -> Fell | None:
    """Whether something has been silent that used to speak, for far longer than ever before. `states`: when each of
    its states was seen first, in the order of time."""
    if len(states) < FEWEST_STATES:
        return None
    gaps = sorted(b - a for a, b in itertools.pairwise(states))
    silence = now - states[-1]
    patience = max(SILENCE, _LONGER * gaps[-1], _USUALS * gaps[len(gaps) // 2])
    return Fell(silence, patience) if silence > patience else None


def unwatched(starts: Sequence[datetime]) -> list[tuple[datetime, timedelta]]:
    """When nobody looked at a source: the ends of the pauses between its runs, and by how much each was longer than
    usual. `starts`: when its runs that succeeded began, in the order of time."""
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    if not gaps:
        return []
    usual = sorted(gaps)[len(gaps) // 2]
    return [(end, gap - usual) for end, gap in zip(starts[1:], gaps, strict=True) if gap > _PAUSE * usual]


_PAUSE = 1.5

SILENCE = timedelta(hours=6)
"""Nothing that moved so lately has fallen silent."""

FEWEST_STATES = 10
"""Of something with fewer states nobody knows how often it speaks."""

_LONGER, _USUALS = 5, 20


def main_currency(currencies: Sequence[str | None]) -> str | None:
    """The one that most figures are in."""
    return Counter(currencies).most_common(1)[0][0] if currencies else None
