"""How long an answer may be taken for fresh, by what it says itself (RFC 9111 4.2). Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(days=1)
"""An answer that calls itself fresh for longer is asked for again after this time."""

_DIRECTIVE = re.compile(r'([^\s,;="]+)\s*(?:=\s*(?:"([^"]*)"|([^\s,"]*)))?')


def fresh_until(headers: Mapping[str, str], at: datetime) -> datetime | None:
    """The end of the freshness of an answer that came at `at` with these headers (lower-case names); None where it says
    nothing, nothing that is understood, or that it has none. What it already spent in caches (Age) is taken off."""
    lifetime = _lifetime(headers, at)
    if lifetime is None:
        return None
    left = lifetime - timedelta(seconds=_whole(headers.get("age", "")) or 0)
    return at + min(left, LONGEST) if left > timedelta() else None


def _lifetime(headers: Mapping[str, str], at: datetime) -> timedelta | None:
    said = {
        name.lower(): quoted or token for name, quoted, token in _DIRECTIVE.findall(headers.get("cache-control", ""))
    }
    if "no-cache" in said or "no-store" in said:
        return None
    if "max-age" in said:  # it goes before Expires, also where it is not understood: then the answer is stale
        seconds = _whole(said["max-age"])
        return None if seconds is None else timedelta(seconds=seconds)
    expires = _instant(headers.get("expires"))
    return None if expires is None else expires - (_instant(headers.get("date")) or at)


def _whole(text: str) -> int | None:
    """Seconds; more than a day's worth are as good as a day's (RFC 9111 1.2.2 lets a cache bound them)."""
    return int(text[:9]) if text.isascii() and text.isdigit() else None


def _instant(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
