"""Schedules as they are written: "manual", "every 15m" or a cron line. Checked here, carried out by the scheduler."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_EVERY = re.compile(r"every\s+(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
EXPECTED = 'expected "manual", "every 15m" (s, m, h, d or w) or a cron line of five fields'


def interval_seconds(schedule: str) -> float | None:
    """The seconds of an "every ..." schedule, None for any other."""
    match = _EVERY.fullmatch(schedule.strip().lower())
    return float(match[1]) * _UNITS[match[2]] if match else None


def schedule_fault(schedule: str) -> str | None:
    """What is wrong with a schedule, or None."""
    text = schedule.strip().lower()
    seconds = interval_seconds(text)
    if text == "manual" or (seconds is not None and seconds >= 1):
        return None
    if seconds is not None:
        return "expected an interval of at least one second"
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return EXPECTED
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        if not _is_cron_field(part, low, high, names):
            return f"expected {low}-{high} (with * , - /) as the {name} of a cron line"
    return None


def _is_cron_field(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    return all(_is_cron_item(item, low, high, names) for item in part.split(","))


def _is_cron_item(item: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    span, slash, step = item.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    ends = [_cron_number(end, low, names) for end in span.split("-", 1)]
    numbers = [number for number in ends if number is not None and low <= number <= high]
    return len(numbers) == len(ends) and numbers == sorted(numbers)


def _cron_number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isascii() and text.isdigit() else None
