"""ISO 8601, RFC 3339 and W3CDTF: extended and basic forms, any precision, week and ordinal dates, missing parts.

`datetime.fromisoformat` does the common case, but only behind an expression of our own: alone it takes any character
between date and time and seconds in offsets, and versions of Python differ about 24:00.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from kasparro_core.normalize.zones import localize, parse_zone

_COMMON = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
_ANY = re.compile(
    r"(?P<year>[0-9]{4})"
    r"(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?|(?P<month2>[0-9]{2})(?P<day2>[0-9]{2})"
    r"|-?W(?P<week>[0-9]{2})-?(?P<weekday>[1-7])|-?(?P<nth>[0-9]{3}))?"
    r"(?:(?:(?:T|\s+)(?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"|T(?P<hour2>[0-9]{2}))(?:\s*(?P<zone>Z|[+-][0-9:]+(?:\s+[A-Z]+)?|[A-Z][A-Z0-9_/:+-]*))?)?",
    re.IGNORECASE | re.ASCII,
)


def parse_iso(text: str) -> datetime | None:
    """The aware or naive datetime of an ISO text; None for another shape. Raises ValueError when impossible.

    A missing month, day or time is the beginning of the year, month or day. Digits past microseconds are cut off.
    A leap second (:60) is impossible: no datetime holds it, and which second to take instead would be a guess.
    """
    if _COMMON.fullmatch(text):
        return datetime.fromisoformat(text)
    match = _ANY.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict()
    day = _day(part)
    hour = int(part["hour"] or part["hour2"] or 0)
    if hour and not (part["day"] or part["day2"] or part["weekday"] or part["nth"]):
        return None
    return assemble(day, hour, part)


def usual_time(text: str) -> datetime | None:
    """The time of a text like 2024-01-31T10:00:00Z or 2024-01-31T10:00:00.123Z, the forms of most APIs; None for
    another shape, and for an impossible time, so that the long way says why.

    `datetime.fromisoformat` accepts nothing but digits in this shape.
    """
    size = len(text)
    if (size == 20 or (size == 24 and text[19] == ".")) and text[4:17:3] == "--T::" and text[-1] == "Z":
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    return None


def canonical_usual(text: str) -> str:
    """The RFC 3339 text (with six digits after the second, or none) of a usual text that names a real time."""
    if len(text) == 20:
        return text
    return text[:19] + "Z" if text[20:23] == "000" else text[:23] + "000Z"


def assemble(day: date, hour: int, part: dict[str, str | None]) -> datetime:
    """A date and the parts minute, second, fraction and zone of a match. 24:00 is the midnight that ends the day."""
    minute, second, micro = int(part["minute"] or 0), int(part["second"] or 0), micros(part["fraction"])
    if hour == 24 and not (minute or second or micro):
        day, hour = day + timedelta(days=1), 0
    moment = datetime(day.year, day.month, day.day, hour, minute, second, micro)  # noqa: DTZ001
    return moment if part["zone"] is None else in_zone(moment, part["zone"])


def in_zone(moment: datetime, name: str) -> datetime:
    """The wall-clock time in the zone that a text names, as UTC. Raises ValueError when that is not one instant."""
    zone = parse_zone(name)
    if zone is None:
        raise ValueError(f"{name} is no time zone with one meaning")
    return localize(moment, zone)


def micros(fraction: str | None) -> int:
    """The microseconds of the digits after the second; what is smaller is cut off."""
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _day(part: dict[str, str | None]) -> date:
    year = int(part["year"] or 0)
    if part["week"]:
        return date.fromisocalendar(year, int(part["week"]), int(part["weekday"] or 0))
    if part["nth"]:
        return nth_day(year, int(part["nth"]))
    return date(year, int(part["month"] or part["month2"] or 1), int(part["day"] or part["day2"] or 1))


def nth_day(year: int, nth: int) -> date:
    """Day `nth` (from 1) of a year. Raises ValueError when the year has no such day."""
    day = date(year, 1, 1) + timedelta(days=nth - 1)
    if day.year != year:
        raise ValueError(f"{year} has no day {nth}")
    return day
