"""Cutting a span of time into windows."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from kasparro_core.model.window import Window

MOST_WINDOWS = 100_000
"""Windows of one backfill: each has a row for its position and at least one request."""

_STEP = re.compile(r"\s*([0-9]{1,6})\s*(m|h|d|w|mo)\s*")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Step:
    """How long a window is: so many calendar months, or so much time."""

    months: int = 0
    time: timedelta = timedelta()

    @classmethod
    def parse(cls, text: str) -> Step:
        """From "30m", "6h", "1d", "1w" or "1mo". Raises ValueError."""
        found = _STEP.fullmatch(text.lower())
        if found is None or not int(found[1]):
            raise ValueError(f'expected a length like "6h", "1d", "1w" or "1mo", found {text!r}')
        count, unit = int(found[1]), found[2]
        return cls(months=count) if unit == "mo" else cls(time=count * _UNITS[unit])

    def after(self, start: datetime, count: int) -> datetime:
        """The instant `count` steps after `start`. Months keep the day, or take the month's last. Raises OverflowError
        or ValueError beyond the calendar."""
        if not self.months:
            return start + count * self.time
        years, month = divmod(start.month - 1 + count * self.months, _MONTHS)
        year, month = start.year + years, month + 1
        return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def cut(start: datetime, end: datetime, step: Step) -> list[Window]:
    """Windows that lie side by side from `start` to `end`, the oldest first; the last one may be shorter.

    Raises ValueError where there would be none, or more than MOST_WINDOWS.
    """
    if start >= end:
        raise ValueError("the end has to be later than the start")
    windows: list[Window] = []
    for window in _windows(start, end, step):
        if len(windows) == MOST_WINDOWS:
            raise ValueError(f"these are more than {MOST_WINDOWS:,} windows; make them longer")
        windows.append(window)
    return windows


def _windows(start: datetime, end: datetime, step: Step) -> Iterator[Window]:
    at, count = start, 0
    while at < end:
        count += 1
        following = _no_later(start, end, step, count)
        yield Window(at, following)
        at = following


def _no_later(start: datetime, end: datetime, step: Step, count: int) -> datetime:
    try:
        return min(step.after(start, count), end)
    except (OverflowError, ValueError):  # beyond the year 9999
        return end
