"""Time zones: declared ones, the names that dates in texts carry, and local times that do not exist or come twice."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])(?:([0-9]{1,2}):([0-9]{2})|([0-9]{2})([0-9]{2})?)")
_IANA = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){1,3}")

# RFC 2822, and abbreviations that have one meaning wherever they are written; IST, BST, CST in China and the like
# are not here, nor are the military letters, whose meaning RFC 2822 calls unknown
_HOURS = {
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3,
    "AKST": -9, "AKDT": -8, "HST": -10, "JST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
# Unicode CLDR's generic names: the zone knows whether it is summer
_GENERIC = {
    "ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles",
    "AT": "America/Halifax",
}  # fmt: skip


class AmbiguousTimeError(ValueError):
    """A time that has more than one reading."""


def load_zone(name: str) -> tzinfo:
    """The zone of an IANA name, "UTC" or an offset ("+02:00"). Raises ValueError for any other text."""
    if name.upper() in {"UTC", "Z"}:
        return UTC
    offset = parse_offset(name)
    if offset is not None:
        return timezone(offset)
    zone = _iana(name)
    if zone is None:
        raise ValueError(f"unknown time zone {name!r}: use an IANA name such as Europe/Berlin, UTC, or +02:00")
    return zone


def parse_offset(text: str) -> timedelta | None:
    """The offset of "+01:00", "+0100", "+01" or "-5:00"; None for another text, or beyond 23:59."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    hours, minutes = int(match[2] or match[4]), int(match[3] or match[5] or 0)
    if hours > 23 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if match[1] == "-" else offset


def parse_zone(text: str) -> tzinfo | None:
    """The zone that a date text names: an offset, a name with one meaning, an IANA name, or "GMT-07:00".

    None for any other. An offset followed by a name must agree with it ("+0000 UTC").
    """
    name = text.upper()
    if name in _HOURS:
        return timezone(timedelta(hours=_HOURS[name])) if _HOURS[name] else UTC
    if name in _GENERIC:
        return _iana(_GENERIC[name])
    if name[:3] in {"GMT", "UTC"}:
        text = text[3:].lstrip()
    stated, _, also = text.partition(" ")
    offset = parse_offset(stated)
    if offset is None:
        return _iana(text) if _IANA.fullmatch(text) else None
    zone = timezone(offset)
    return zone if not also or parse_zone(also.strip()) in {zone, UTC if not offset else zone} else None


def localize(naive: datetime, zone: tzinfo) -> datetime:
    """The instant (UTC) of a wall-clock time in a zone.

    Raises AmbiguousTimeError where the clocks showed it twice, ValueError where they skipped it, OverflowError
    outside the years 1 to 9999.
    """
    if zone is UTC:
        return naive.replace(tzinfo=UTC)
    first, second = naive.replace(tzinfo=zone, fold=0), naive.replace(tzinfo=zone, fold=1)
    instant = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return instant
    if instant.astimezone(zone).replace(tzinfo=None, fold=0) == naive:
        raise AmbiguousTimeError(f"{naive} came twice in {zone}")
    raise ValueError(f"{naive} did not exist in {zone}")


@lru_cache(maxsize=256)
def _iana(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # absent, a directory, or a key outside the database
        return None
