"""What is a fault in each figure of a run: on which side, and how far off it has to be at least.

A count or a duration is judged by its ratio to what is usual: twice as much is as far off as half. So that three items
instead of one are no event, `floor` is added to both before they are compared. Shares and times are judged by their
difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import exp, inf, log

_DECIMALS = 9  # beyond them is what exp leaves of a zero and a floor
_BEYOND = 700.0  # e to this power is about the largest float


@dataclass(frozen=True, slots=True)
class Rule:
    """How a metric is judged. `least`: closer to the median than this is no fault, however steady the source was
    (a difference, or with a `floor` the logarithm of a ratio); `least_at_first` holds while the runs to compare with
    span no whole week. `down`, `up`: the sides on which it can be a fault. `alone`: one run is enough to tell; else it
    takes two in a row. What earlier runs showed may come `again` by so much more (a difference; without it, twice as
    much); `at_any_hour`: what they showed at another hour of the week, too. `most`: there is no more."""

    least: float
    least_at_first: float
    floor: float | None = None
    down: bool = True
    up: bool = True
    alone: bool = True
    at_any_hour: bool = False
    again: float | None = None
    most: float = inf

    def beyond(self, seen: float, side: int) -> float:
        """As far as what was seen before may go without being news, up (1) or down (-1)."""
        return 2 * seen if self.again is None else seen + side * self.again

    def scaled(self, values: Iterable[Decimal]) -> list[float]:
        """Values on the scale on which distances are measured."""
        floor = self.floor
        if floor is None:
            return [float(value) for value in values]
        return [log(max(float(value), 0.0) + floor) for value in values]

    def is_steady(self, values: Sequence[float]) -> bool:
        """Values on that scale are a count that has never varied: what nights and weekends do does not show in it."""
        return self.floor is not None and len(set(values)) == 1 and self.plain(values[0]) > 0

    def plain(self, scaled: float) -> float:
        """The value back from that scale."""
        if self.floor is None:
            return scaled
        return round(exp(min(scaled, _BEYOND)) - self.floor, _DECIMALS) + 0.0  # no -0.0


def _ratio(times: float, floor: float, *, down: bool = True, up: bool = True, alone: bool = True) -> Rule:
    """Nights and weekends are quieter by much: at first, the square of what it is later."""
    return Rule(log(times), 2 * log(times), floor, down, up, alone, again=log(times) / 2)


def _difference(least: float, *, down: bool = True) -> Rule:
    return Rule(least, 2 * least, down=down, again=least / 2)


def _share(least: float, *, down: bool = True) -> Rule:
    return replace(_difference(least, down=down), most=1.0)


OTHERS = _ratio(2, 10)
"""For figures that nobody judges, and that are shown beside what they usually are."""

RULES = {
    # half of the items missing, or twice as many, has to be seen; a third more or less comes with the day
    "fetched": _ratio(1.5, 10),
    # items without their bytes, or bytes without their items; servers change how well they compress
    "bytes_per_item": _ratio(2.5, 10),
    "bytes_fetched": _ratio(2.5, 2_000),
    # fewer requests show as fewer items; more of them are a list that does not end, or a page that shrank
    "requests": _ratio(2, 3, down=False),
    # a run that is quick is no fault; three times as long is when people ask why, unless it was one answer that hung
    "seconds": _ratio(3, 2, down=False, alone=False),
    "latency_p95": _ratio(3, 100, down=False, alone=False),
    # new keys for old things, or nothing new where everything was; days differ by much
    "inserted_share": _share(0.4),
    "updated_share": _share(0.4),
    # a little more than the one item in twenty from which a run is called degraded by default: at least four items
    "rejected_share": _share(0.06, down=False),
    # a field that fewer items have is noise; that a tenth of all items loses it is not
    "null_rate": _share(0.1, down=False),
    # caches serve what is minutes old, and clocks differ by as much
    "backwards": _difference(3600.0, down=False),
    # the same, and twice as long as it used to be; at first there may be a quiet weekend to come
    "lag": Rule(3600.0, 3 * 86400.0, down=False, at_any_hour=True),
}
"""By metric; a metric of something within a run (`null_rate:price`) goes by the part before the colon."""


def rule_of(metric: str) -> Rule:
    """The rule of a metric."""
    return RULES.get(metric.partition(":")[0], OTHERS)
