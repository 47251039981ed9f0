"""How often a feed asks to be read: RSS 2.0's ttl, skipHours and skipDays, and the syndication module of RSS 1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kasparro_core.policy.courtesy import DAYS, Quiet

LONGEST_WAIT = int(timedelta(days=7).total_seconds())
"""Seconds. Whoever asks for more is asked again after a week all the same."""

_PERIODS = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    "monthly": timedelta(days=30),
    "yearly": timedelta(days=365),
}
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Wish:
    """Seconds to wait between two reads, and when not to read at all (the text of a `Quiet`)."""

    wait: int = 0
    quiet: str | None = None


def wish_of(channel: Mapping[str, Any]) -> Wish:
    """What a channel asks for, of what the parser found in it. What makes no sense counts as not said."""
    waits = (_number(channel.get("ttl")) * _MINUTE, _period(channel))
    quiet = Quiet(frozenset(_hours(channel.get("skip_hours") or ())), frozenset(_days(channel.get("skip_days") or ())))
    return Wish(min(max(waits), LONGEST_WAIT), quiet.text)


def _number(text: object) -> int:
    """A whole number from 0 on; 0 for anything else."""
    digits = text.strip() if isinstance(text, str) else ""
    return int(digits[:9]) if digits.isascii() and digits.isdigit() else 0


def _period(channel: Mapping[str, Any]) -> int:
    """Seconds between two updates: a period (daily where only the frequency is given), and how often in it."""
    said, times = channel.get("sy_updateperiod"), channel.get("sy_updatefrequency")
    if said is None and times is None:
        return 0
    period = _PERIODS.get(str(said if said is not None else "daily").strip().lower(), timedelta())
    return int(period.total_seconds()) // (_number(times) or 1)


def _hours(texts: Sequence[str]) -> list[int]:
    """0 to 23; in RSS 0.91 midnight is 24."""
    said = (text for text in map(str.strip, texts) if text.isascii() and text.isdigit() and len(text) <= 2)
    return [int(text) % 24 for text in said if int(text) <= 24]


def _days(texts: Sequence[str]) -> list[str]:
    return [day for day in (text.strip().capitalize() for text in texts) if day in DAYS]
