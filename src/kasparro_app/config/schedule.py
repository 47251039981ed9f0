"""Schedules as they are written: "manual", "every 15m" or a cron line. Understood here, timed by `scheduling`."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN = r"(\d+(?:\.\d+)?)\s*([smhdw])"
_EVERY = re.compile(rf"every\s+{_SPAN}", re.ASCII)
_TIME = re.compile(_SPAN, re.ASCII)
_LONGEST = 366 * 86400.0
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_LEAP_YEAR = 2024
MANUAL = "manual"
EXPECTED = 'expected "manual", "every 15m" (s, m, h, d or w) or a cron line of five fields'


@dataclass(frozen=True, slots=True)
class CronField:
    """The values that a field of a cron line stands for, ascending. `starred`: it begins with `*`, so it does not
    restrict a day (cron(5))."""

    values: tuple[int, ...]
    starred: bool


@dataclass(frozen=True, slots=True)
class CronLine:
    """A cron line of five fields as cron(5) reads it. Days of the week are 0 (Sunday) to 6, also where 7 is written."""

    minute: CronField
    hour: CronField
    day: CronField
    month: CronField
    weekday: CronField


def interval_seconds(schedule: str) -> float | None:
    """The seconds of an "every ..." schedule, None for any other."""
    match = _EVERY.fullmatch(schedule.strip().lower())
    return float(match[1]) * _UNITS[match[2]] if match else None


def time_seconds(text: str) -> float | None:
    """The seconds of "30s" or "1.5m" (s, m, h, d or w), None for another text."""
    match = _TIME.fullmatch(text.strip().lower())
    return float(match[1]) * _UNITS[match[2]] if match else None


def schedule_fault(schedule: str) -> str | None:
    """What is wrong with a schedule, or None."""
    seconds = interval_seconds(schedule)
    if seconds is not None:
        if seconds < 1:
            return "expected an interval of at least one second"
        return None if seconds <= _LONGEST else "expected an interval of at most 366 days"
    try:
        if schedule.strip().lower() != MANUAL:
            cron_line(schedule)
    except ValueError as fault:
        return str(fault)
    return None


def jitter_fault(jitter: str | None, schedule: str) -> str | None:
    """What is wrong with the jitter of a source with this (good) schedule, or None."""
    if jitter is None:
        return None
    seconds = time_seconds(jitter)
    if seconds is None:
        return 'expected a time such as "30s" (s, m, h, d or w)'
    interval = interval_seconds(schedule)
    if interval is not None and seconds >= interval:
        return "expected less than the interval of the schedule"
    return None


def cron_line(schedule: str) -> CronLine:
    """A cron line taken apart. Raises ValueError with what was expected."""
    parts = schedule.lower().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(EXPECTED)
    line = CronLine(*(_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)))
    longest = max(monthrange(_LEAP_YEAR, month)[1] for month in line.month.values)
    if min(line.day.values) > longest and line.weekday.starred:
        raise ValueError("expected a day that its months have: this one never comes")
    return line


def _field(part: str, name: str, low: int, high: int, names: tuple[str, ...]) -> CronField:
    found: set[int] = set()
    for item in part.split(","):
        values = _item(item, low, high, names)
        if not values:
            raise ValueError(f"expected {low}-{high} (with * , - /) as the {name} of a cron line")
        found.update(values)
    week = names is _DAYS
    return CronField(tuple(sorted({value % 7 for value in found} if week else found)), part.startswith("*"))


def _item(item: str, low: int, high: int, names: tuple[str, ...]) -> range | None:
    """`*`, `5`, `1-5`, each with a step; a single number with a step goes on to the end. None: not one of them."""
    span, slash, step = item.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return None
    first, dash, last = (str(low), "-", str(high)) if span == "*" else span.partition("-")
    start = _number(first, low, names)
    end = _number(last, low, names) if dash else (high if slash else start)
    if dash and names is _DAYS and last == "sun":
        end = 7
    if start is None or end is None or not low <= start <= end <= high:
        return None
    return range(start, end + 1, int(step) if slash else 1)


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isascii() and text.isdigit() else None
