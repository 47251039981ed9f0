"""How long the requests of a run took: counts by size, however many there are, and what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from math import ceil, exp, floor, log

from kasparro_core.model.facts import Latency

_STEP = log(1.05)
"""Sizes grow by 5 %: the middle of one is within 2.5 % of whatever it holds."""

_LEAST, _MOST = 0.001, 1e9  # milliseconds; what is shorter or longer counts as these, so there are less than 600 sizes
_THOUSANDTH = Decimal("0.001")


class Latencies:
    """Collects durations in seconds; two runs that took the same make the same of it, in whatever order."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._most = 0.0

    def add(self, seconds: Iterable[float]) -> None:
        """Count these durations."""
        for each in seconds:
            milliseconds = min(max(each * 1_000, 0.0), _MOST)
            self._counts[_size(milliseconds)] += 1
            self._most = max(self._most, milliseconds)

    def summary(self) -> Latency | None:
        """Their quantiles (the smallest duration that so many of them do not exceed); None where there were none."""
        if not self._counts:
            return None
        return Latency(self._counts.total(), self._quantile(0.5), self._quantile(0.95), _rounded(self._most))

    def _quantile(self, share: float) -> Decimal:
        rank, seen = ceil(share * self._counts.total()), 0
        for size in sorted(self._counts):
            seen += self._counts[size]
            if seen >= rank:
                return _rounded(min(exp((size + 0.5) * _STEP), self._most))
        raise RuntimeError("there is no such quantile: its rank lies above the number of durations")


def _size(milliseconds: float) -> int:
    return floor(log(max(milliseconds, _LEAST)) / _STEP)


def _rounded(milliseconds: float) -> Decimal:
    return Decimal(milliseconds).quantize(_THOUSANDTH)
