"""From a source's `schedule`, `timezone` and `jitter` to its slots.

Cron lines mean what cron(5) says. APScheduler finds the next time on the wall clock; this module says which instants
that time is. Where the clocks are put forward, a local time that does not exist stands as long after the gap's begin as
it says (02:30 in a gap from 02:00 to 03:00 is the 03:30 of that day). Where they are put back, a local time that comes
twice is its first occurrence, unless the hour field begins with `*`: then every real hour has its slots.

An interval is elapsed time: each slot is one interval after the slot before it, whatever the clocks do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.cron import CronTrigger

from kasparro_app.config.schedule import MANUAL, CronField, CronLine, cron_line, interval_seconds, time_seconds
from kasparro_core.config import SourceConfig
from kasparro_core.normalize.zones import load_zone
from kasparro_core.services.timetable import SlotRule

_JITTER_SHARE = 0.1
_JITTER_MOST = 60.0
_JITTER_FROM = 60.0
"""Seconds an interval has at least for its slots to be spread by default."""

_NEAR = timedelta(hours=3)
"""No zone puts its clocks forward or back by more for the summer."""

_TICK = timedelta(microseconds=1)
_APSCHEDULER_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Day names in cron's order. They are handed on in the place of numbers: APScheduler's 0 is Monday."""


def rules_of(sources: Mapping[str, SourceConfig]) -> dict[str, SlotRule]:
    """The rules of all sources that are enabled and have slots, by name."""
    rules = {name: rule_of(name, config) for name, config in sources.items() if config.enabled}
    return {name: rule for name, rule in rules.items() if rule is not None}


def rule_of(source: str, config: SourceConfig) -> SlotRule | None:
    """The rule of one source, None when it is started by hand. Raises ValueError for what `config.schedule` refuses."""
    schedule = " ".join(config.schedule.lower().split())
    if schedule == MANUAL:
        return None
    given = None if config.jitter is None else time_seconds(config.jitter)
    seconds = interval_seconds(schedule)
    jitter = given if given is not None else _default_jitter(seconds)
    text = schedule if seconds is None else f"every {seconds:g}s"
    spec = f"{text}; {config.timezone}; jitter {jitter:g}s"
    times: _Interval | _Cron
    if seconds is not None:
        times = _Interval(timedelta(seconds=seconds))
    else:
        times = _Cron(cron_line(schedule), load_zone(config.timezone))
    return Rule(spec, source, times, timedelta(seconds=jitter))


def _default_jitter(interval: float | None) -> float:
    """A tenth of the interval, at most a minute; none where every second counts, or a time of day was asked for."""
    return 0.0 if interval is None or interval < _JITTER_FROM else min(interval * _JITTER_SHARE, _JITTER_MOST)


@dataclass(frozen=True, slots=True)
class Rule:
    """Slots with their jitter: implements `kasparro_core.services.timetable.SlotRule`."""

    spec: str
    source: str
    times: _Interval | _Cron
    jitter: timedelta

    def following(self, after: datetime, /) -> tuple[datetime, datetime] | None:
        """The first slot after this instant, and when it is due: always before the slot after it."""
        slot = self.times.after(after)
        return None if slot is None else (slot, slot + self._offset(slot))

    def _offset(self, slot: datetime) -> timedelta:
        """The same for every process that asks, other for every source and slot."""
        if not self.jitter:
            return timedelta()
        successor = self.times.after(slot)
        longest = self.jitter if successor is None else min(self.jitter, successor - slot)
        drawn = hashlib.sha256(f"{self.source}\0{slot.isoformat()}".encode()).digest()
        return _TICK * (int.from_bytes(drawn[:8]) * (longest // _TICK) >> 64)


@dataclass(frozen=True, slots=True)
class _Interval:
    length: timedelta

    def after(self, instant: datetime) -> datetime | None:
        return instant + self.length


class _Cron:
    """The instants of a cron line in a zone."""

    def __init__(self, line: CronLine, zone: tzinfo) -> None:
        self._zone = zone
        self._every_hour = line.hour.starred
        self._triggers = _triggers(line)

    def after(self, instant: datetime) -> datetime | None:
        """The first one later than this. Near a change of the clocks the order of local times is not that of the
        instants, so all local times that may come into question are looked at."""
        begin = instant.astimezone(self._zone).replace(tzinfo=UTC)
        found: datetime | None = None
        until: datetime | None = None
        for wall in self._walls(begin - self._shift(instant)):
            if until is not None and wall > until:
                break
            for candidate in self._instants(wall):
                if candidate > instant and (found is None or candidate < found):
                    found = candidate
            if found is not None and until is None:
                until = wall + self._shift(found)
        return found

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """The local times of the line later than this one, ascending, dressed as UTC."""
        while True:
            times = [trigger.get_next_fire_time(None, after + _TICK) for trigger in self._triggers]
            coming = [time for time in times if time is not None]
            if not coming:
                return
            after = min(coming)
            yield after

    def _instants(self, wall: datetime) -> tuple[datetime, ...]:
        """What a local time stands for (PEP 495: fold=0 takes the offset from before a change of the clocks)."""
        first = wall.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        second = wall.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return (first, second) if self._every_hour and second > first else (first,)

    def _shift(self, instant: datetime) -> timedelta:
        """By how much the clocks change near this instant: mostly not at all."""
        near = (instant - _NEAR, instant, instant + _NEAR)
        offsets = [each.astimezone(self._zone).utcoffset() or timedelta() for each in near]
        return max(offsets) - min(offsets)


def _triggers(line: CronLine) -> list[CronTrigger]:
    """One, or two when day of month and day of week are both restricted: then either will do (cron(5))."""
    fields = {"minute": _numbers(line.minute), "hour": _numbers(line.hour), "month": _numbers(line.month)}
    day = {"day": _numbers(line.day)}
    names = [_APSCHEDULER_DAYS[value] for value in line.weekday.values]
    weekday = {"day_of_week": "*" if len(names) == len(_APSCHEDULER_DAYS) else ",".join(names)}
    either = not line.day.starred and not line.weekday.starred
    choices = [day, weekday] if either else [{**day, **weekday}]
    return [CronTrigger(timezone=UTC, second="0", **fields, **choice) for choice in choices]


def _numbers(field: CronField) -> str:
    """As one span where there is no gap: a list is searched entry by entry."""
    first, last = field.values[0], field.values[-1]
    return f"{first}-{last}" if len(field.values) == last - first + 1 else ",".join(map(str, field.values))
