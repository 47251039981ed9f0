"""Dates as mail, feeds and people write them: RFC 822 and 2822, asctime, and forms with the month's name.

A text is read when it has exactly one reading. Numeric day/month pairs are read when only one order gives a date (or
the stated weekday agrees with only one); "03/04/2024" is ambiguous. A weekday that contradicts a complete date is
ignored, since the date says more.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from kasparro_core.normalize.iso import assemble
from kasparro_core.normalize.names import ALL_MONTHS, ALL_WEEKDAYS, alternatives
from kasparro_core.normalize.zones import AmbiguousTimeError

_MONTH = rf"(?P<name>{alternatives(ALL_MONTHS)})\b\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|\.|º)?"
_CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?:\s*(?P<half>[ap])\.?m\b\.?)?"
)
_ZONE = r"(?P<zone>[+-][0-9:]+(?:\s+[a-z]+)?|[a-z][a-z0-9_/]*(?:\s*[+-][0-9:]+)?)"
_AFTER = rf"(?:(?:\s*,)?(?:\s*-\s*|\s*\bat\s+|\s*t|\s+){_CLOCK})?(?:\s*,?\s*{_ZONE}(?:\s*\([^()]*\))?)?"
_SHAPES = tuple(
    re.compile(rf"(?:(?P<weekday>{alternatives(ALL_WEEKDAYS)})\b[.,\s]+)?{shape}")
    for shape in (
        rf"{_DAY}(?:\s+of\s+|[\s/-]*){_MONTH},?[\s/-]*(?P<year>[0-9]{{4}}|[0-9]{{2}})(?![0-9]),?{_AFTER}",
        rf"{_MONTH}[\s-]*{_DAY}(?:,\s*|[\s-]+)(?P<year>[0-9]{{4}}){_AFTER}",
        rf"{_MONTH}\s+{_DAY}\s+{_CLOCK}(?:\s+{_ZONE})?\s+(?P<year>[0-9]{{4}})",
        rf"{_MONTH},?\s+(?P<year>[0-9]{{4}})",
        rf"(?P<year>[0-9]{{4}})[\s./-]+{_MONTH}[\s/-]*{_DAY}{_AFTER}",
        rf"(?P<year>[0-9]{{4}})(?P<mark>[/.-])(?P<month>[0-9]{{1,2}})(?P=mark)(?P<day>[0-9]{{1,2}}){_AFTER}",
        rf"(?P<one>[0-9]{{1,2}})(?P<mark>[/.-]|\s)(?P<two>[0-9]{{1,2}})(?P=mark)(?P<three>[0-9]{{4}}|[0-9]{{2}})(?![0-9]){_AFTER}",
    )
)
_PARTS: dict[str, str | None] = dict.fromkeys(
    ("weekday", "name", "day", "year", "month", "hour", "minute", "second", "fraction", "half", "zone", "one")
)


def parse_prose(text: str) -> datetime | None:
    """The aware or naive datetime of a date text; None for another shape.

    Raises ValueError when it is impossible and AmbiguousTimeError when it has several readings.
    """
    lowered = text.lower()
    if len(lowered) != len(text):
        return None
    for shape in _SHAPES:
        match = shape.fullmatch(lowered)
        if match is not None:
            part = _PARTS | match.groupdict()
            if part["zone"]:
                part["zone"] = text[slice(*match.span("zone"))]  # IANA names are written in one way
            return assemble(_numeric(part) if part["one"] else _named(part), _hour(part), part)
    return None


def full_year(year: str) -> int:
    """RFC 2822: of two digits, 00 to 49 are the 2000s and 50 to 99 the 1900s."""
    number = int(year)
    return number if len(year) > 2 else number + (2000 if number < 50 else 1900)


def _named(part: dict[str, str | None]) -> date:
    name = part["name"]
    month = ALL_MONTHS[name] if name else int(part["month"] or 0)
    return date(full_year(part["year"] or ""), month, int(part["day"] or 1))


def _hour(part: dict[str, str | None]) -> int:
    hour, half = int(part["hour"] or 0), part["half"]
    if half is None:
        return hour
    if hour > 12 or (hour == 0 and half == "p"):
        raise ValueError(f"{hour} is no hour before or after noon")
    return hour % 12 + (12 if half == "p" else 0)


def _numeric(part: dict[str, str | None]) -> date:
    """The one date that three numbers can mean: year last, or first when all have two digits."""
    one, two, three = part["one"] or "", part["two"] or "", part["three"] or ""
    orders = [(three, two, one), (three, one, two)]
    if len(three) == 2:
        orders.append((one, two, three))
    readings = {day for order in orders if (day := _date(*order)) is not None}
    if len(readings) > 1 and part["weekday"]:
        stated = ALL_WEEKDAYS[part["weekday"]]
        readings = {day for day in readings if day.weekday() == stated} or readings
    if len(readings) > 1:
        raise AmbiguousTimeError("it can be " + " or ".join(str(day) for day in sorted(readings)))
    if not readings:
        raise ValueError("no order of these numbers is a date")
    return readings.pop()


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(full_year(year), int(month), int(day))
    except ValueError:
        return None
