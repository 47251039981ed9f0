"""When a timed run leaves a partition alone: because it is gone, or because its origin asks not to be asked yet.

A run by hand asks always.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kasparro_core.model.checkpoint import GONE, PartitionState
from kasparro_core.model.service import SkipReason

LONGEST_PATIENCE = 60.0
"""Seconds. A timed run waits for a partition that will be due so soon, under a short interval for less. Slots come up
to a minute late, and not always equally late (jitter): without patience a feed that may be asked once an hour would
miss many an hourly slot."""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""In the order of `datetime.weekday`."""

LONGEST_WISH = timedelta(weeks=1)
"""A partition is left alone for so long at most after a read of it: no wish is longer, and quiet hours that meet every
slot give way then. What stands further ahead was noted under a clock that has been put back since."""

_HOUR = timedelta(hours=1)
_SHARE = 8
_WEEK = 7 * 24
_TEXT = re.compile(r"(?:hours=([0-9,]+))? ?(?:days=([A-Za-z,]+))?")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours (0-23) and days (names, see DAYS) in UTC in which an origin asks not to be asked (RSS 2.0: `skipHours`,
    `skipDays`). All hours or all days together would be never, which nobody means: they count as none."""

    hours: frozenset[int] = frozenset()
    days: frozenset[str] = frozenset()

    @property
    def text(self) -> str | None:
        """As it is stored and shown: `hours=0,1,23 days=Saturday,Sunday`. None: no hour and no day."""
        hours = ",".join(map(str, sorted(self._hours)))
        days = ",".join(day for day in DAYS if day in self._days)
        return " ".join(filter(None, [hours and f"hours={hours}", days and f"days={days}"])) or None

    @classmethod
    def of(cls, text: str | None) -> Quiet:
        """From its text. What is not understood (somebody edited it) counts as none."""
        found = _TEXT.fullmatch(text or "")
        hours, days = (part.split(",") if part else [] for part in (found.groups() if found else ("", "")))
        return cls(frozenset(int(hour) for hour in hours if hour.isdigit() and int(hour) < 24), frozenset(days))

    def end(self, instant: datetime) -> datetime:
        """The first instant from this one on that lies in none of them."""
        instant = instant.astimezone(UTC)
        for _ in range(_WEEK):
            if instant.hour not in self._hours and DAYS[instant.weekday()] not in self._days:
                break
            instant = instant.replace(minute=0, second=0, microsecond=0) + _HOUR
        return instant

    @property
    def _hours(self) -> frozenset[int]:
        return self.hours if len(self.hours) < 24 else frozenset()

    @property
    def _days(self) -> frozenset[str]:
        return self.days if len(self.days & set(DAYS)) < len(DAYS) else frozenset()


@dataclass(frozen=True, slots=True)
class Hold:
    """A partition that is left alone: why, and until when (None: until a run by hand finds it again)."""

    reason: SkipReason
    until: datetime | None = None

    def wait(self, now: datetime, patience: float) -> float | None:
        """The seconds until it ends, where they are few enough to be waited for."""
        left = (self.until - now).total_seconds() if self.until is not None else None
        return left if left is not None and left <= patience else None

    def __str__(self) -> str:
        """For logs."""
        if self.until is None:
            return "it was taken down for good (410); a run by hand asks it again"
        return f"it asks not to be asked before {self.until:%Y-%m-%dT%H:%M:%SZ}"


def patience(interval: float | None) -> float:
    """How many seconds to wait for, under a schedule with this interval in seconds (None: it has none)."""
    return LONGEST_PATIENCE if interval is None else min(LONGEST_PATIENCE, interval / _SHARE)


def hold_of(
    state: PartitionState | None, origin: str | None, now: datetime, read_at: datetime | None = None
) -> Hold | None:
    """What keeps a timed run from a partition. None: nothing does; nothing is known of it, or it was said of another
    address than the one that is configured now (`origin`). Quiet hours and days count for LONGEST_WISH behind the last
    read (`read_at`; None: there was none, or its position was reset)."""
    if state is None or state.origin != origin:
        return None
    if state.state == GONE:
        return Hold(SkipReason.GONE)
    asked_for = state.next_at if state.next_at is not None and state.next_at - now <= LONGEST_WISH else now
    quiet = state.quiet if read_at is not None and abs(now - read_at) < LONGEST_WISH else None
    due = Quiet.of(quiet).end(max(now, asked_for))
    return Hold(SkipReason.NOT_DUE, due) if due > now else None
