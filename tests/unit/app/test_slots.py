"""Slots: what a schedule, a time zone and a jitter mean in instants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_app.config.schedule import cron_line
from kasparro_app.scheduling.slots import rule_of, rules_of
from kasparro_core.config import SourceConfig
from kasparro_core.services.timetable import SlotRule

START = datetime(2026, 11, 20, tzinfo=UTC)  # a Friday
MINUTE = timedelta(minutes=1)


def rule(schedule: str, source: str = "a", **keys: Any) -> SlotRule:
    made = rule_of(source, SourceConfig(type="csv", schedule=schedule, **keys))
    assert made is not None
    return made


def slots(made: SlotRule, after: datetime) -> Iterator[datetime]:
    while (following := made.following(after)) is not None:
        after = following[0]
        yield after


def local(schedule: str, zone: str, day: str, count: int) -> list[str]:
    """The first slots of a local day, on its clock with the offset."""
    after = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - MINUTE
    times = islice(slots(rule(schedule, timezone=zone), after), count)
    return [time.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")[5:] for time in times]


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ("0 0 * * 0", "Sun Sun Sun"),
        ("0 0 * * 7", "Sun Sun Sun"),
        ("0 0 * * sun", "Sun Sun Sun"),
        ("0 0 * * 1", "Mon Mon Mon"),
        ("0 0 * * 5-7", "Sat Sun Fri"),
        ("0 0 * * fri-sun", "Sat Sun Fri"),
        ("0 0 * * 0-6/3", "Sat Sun Wed"),
        ("0 0 * * */2", "Sat Sun Tue"),
        ("0 0 * * mon,6", "Sat Mon Sat"),
        ("0 0 * * 1-5/2", "Mon Wed Fri"),
        ("0 0 * * 4/2", "Sat Thu Sat"),
    ],
)
def test_days_of_the_week_are_those_of_cron(schedule: str, days: str) -> None:
    """0 and 7 are Sunday, in numbers, names, lists, spans and steps, although the library's 0 is Monday."""
    found = islice(slots(rule(schedule), START), 3)
    assert " ".join(f"{slot:%a}" for slot in found) == days


def test_a_day_of_month_and_a_day_of_week_mean_either() -> None:
    """Both restricted: the earlier of the two (cron(5)); with a star in front of one of them: both have to fit."""
    either = [f"{slot:%d %a}" for slot in islice(slots(rule("0 0 1,13 * fri"), START), 5)]
    assert either == ["27 Fri", "01 Tue", "04 Fri", "11 Fri", "13 Sun"]
    both = [f"{slot:%m-%d %a}" for slot in islice(slots(rule("0 0 */2 * fri"), START), 3)]
    assert both == ["11-27 Fri", "12-11 Fri", "12-25 Fri"]


def test_a_step_wider_than_its_field_leaves_the_first_value() -> None:
    """`*/60` minutes is the full hour, as cron has it."""
    assert [slot.minute for slot in islice(slots(rule("*/60 * * * *"), START), 3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("zone", "day", "before", "after"),
    [("Europe/Berlin", "2026-03-29", "+01:00", "+02:00"), ("America/New_York", "2026-03-08", "-05:00", "-04:00")],
)
def test_a_local_time_in_the_gap_fires_once_right_after_it(zone: str, day: str, before: str, after: str) -> None:
    """Clocks put forward: 02:30 does not exist and is 03:30; every hour goes on by elapsed time; no slot is lost."""
    day = day[5:]
    following = f"{day[:3]}{int(day[3:]) + 1:02}"
    assert local("30 2 * * *", zone, f"2026-{day}", 2) == [f"{day}T03:30{after}", f"{following}T02:30{after}"]
    assert local("30 * * * *", zone, f"2026-{day}", 4) == [
        f"{day}T00:30{before}",
        f"{day}T01:30{before}",
        f"{day}T03:30{after}",
        f"{day}T04:30{after}",
    ]
    assert local("15,45 2 * * *", zone, f"2026-{day}", 3) == [
        f"{day}T03:15{after}",
        f"{day}T03:45{after}",
        f"{following}T02:15{after}",
    ]
    assert local("0 */2 * * *", zone, f"2026-{day}", 3) == [
        f"{day}T00:00{before}",
        f"{day}T03:00{after}",
        f"{day}T04:00{after}",
    ]


@pytest.mark.parametrize(
    ("zone", "day", "summer", "winter", "hour"),
    [
        ("Europe/Berlin", "2026-10-25", "+02:00", "+01:00", 2),
        ("America/New_York", "2026-11-01", "-04:00", "-05:00", 1),
    ],
)
def test_a_local_time_that_comes_twice_fires_once_unless_every_hour_is_meant(
    zone: str, day: str, summer: str, winter: str, hour: int
) -> None:
    """Clocks put back: a daily time is its first occurrence; `*` and `*/n` hours have their slots in both."""
    short = day[5:]
    following = f"{short[:3]}{int(short[3:]) + 1:02}"
    daily = local(f"30 {hour} * * *", zone, day, 2)
    assert daily == [f"{short}T{hour:02}:30{summer}", f"{following}T{hour:02}:30{winter}"]
    several = local(f"*/30 {hour} * * *", zone, day, 3)
    assert several == [
        f"{short}T{hour:02}:00{summer}",
        f"{short}T{hour:02}:30{summer}",
        f"{following}T{hour:02}:00{winter}",
    ]
    hourly = local("30 * * * *", zone, day, hour + 3)
    assert hourly[hour:] == [
        f"{short}T{hour:02}:30{summer}",
        f"{short}T{hour:02}:30{winter}",
        f"{short}T{hour + 1:02}:30{winter}",
    ]
    stepped = local(f"0 */{hour} * * *", zone, day, 4)
    assert {f"{short}T{hour:02}:00{summer}", f"{short}T{hour:02}:00{winter}"} <= set(stepped)


def test_a_start_inside_the_shadow_of_the_gap_still_finds_its_slot() -> None:
    """A service that starts at 03:10 of that day runs what stands at 02:30, at 03:30."""
    found = rule("30 2 * * *", timezone="Europe/Berlin").following(datetime(2026, 3, 29, 1, 10, tzinfo=UTC))
    assert found is not None
    assert found[0] == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_intervals_are_elapsed_time_on_a_grid() -> None:
    """Each slot is one interval after the one before, through a change of the clocks too."""
    made = rule("every 90m", timezone="Europe/Berlin")
    first = datetime(2026, 3, 28, 23, 7, 12, 345678, tzinfo=UTC)
    assert [slot - first for slot in islice(slots(made, first), 4)] == [90 * MINUTE * n for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("schedule", "keys", "longest"),
    [
        ("every 15m", {}, 60),
        ("every 5m", {}, 30),
        ("every 59s", {}, 0),
        ("every 10s", {"jitter": "9s"}, 9),
        ("every 15m", {"jitter": "0s"}, 0),
        ("0 * * * *", {}, 0),
        ("0 * * * *", {"jitter": "20m"}, 1200),
        ("* * * * *", {"jitter": "20m"}, 60),
    ],
)
def test_jitter_is_a_tenth_of_the_interval_unless_it_is_set(schedule: str, keys: dict[str, Any], longest: int) -> None:
    """At most a minute, none under a minute and for cron; slots are spread over it, and never reach the next slot."""
    made = rule(schedule, **keys)
    found = [made.following(slot) for slot in islice(slots(made, START), 200)]
    offsets = [(due - slot).total_seconds() for slot, due in filter(None, found)]
    assert max(offsets) <= longest
    assert max(offsets) >= longest * 0.9
    assert min(offsets) <= longest * 0.1


def test_jitter_is_the_same_for_every_process_and_differs_between_sources() -> None:
    """The offset depends on source and slot alone."""
    assert rule("every 15m").following(START) == rule("every 15m").following(START)
    assert rule("every 15m", "a").following(START) != rule("every 15m", "b").following(START)


def test_the_spec_tells_apart_what_gives_other_slots() -> None:
    """Ways of writing one schedule share a spec; another schedule, zone or jitter has another."""
    assert rule("every 15m").spec == rule("Every  900 s").spec
    assert rule("0 0 * * MON").spec == rule("0  0 * * mon").spec
    specs = {
        rule("every 15m").spec,
        rule("every 16m").spec,
        rule("0 0 * * *").spec,
        rule("0 0 * * *", timezone="Europe/Berlin").spec,
        rule("0 0 * * *", jitter="1m").spec,
    }
    assert len(specs) == 5


def test_what_is_manual_or_switched_off_has_no_rule() -> None:
    """Only enabled sources with a schedule are timed."""
    sources = {
        "hand": SourceConfig(type="csv"),
        "off": SourceConfig(type="csv", schedule="every 1m", enabled=False),
        "on": SourceConfig(type="csv", schedule="every 1m"),
    }
    assert list(rules_of(sources)) == ["on"]


_FIELD = {
    "minute": st.sampled_from(["*", "0", "30", "*/20", "15,45", "1-59/7"]),
    "hour": st.sampled_from(["*", "*/2", "*/3", "0", "1", "2", "3", "1-3", "0,2,23"]),
    "day": st.sampled_from(["*", "*", "25-31", "1,8,29", "*/2"]),
    "month": st.sampled_from(["*", "*", "3", "10,11"]),
    "weekday": st.sampled_from(["*", "*", "sun", "0,6", "1-5", "sat-sun"]),
}
_LINES = st.tuples(*_FIELD.values()).map(" ".join)
_ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Asia/Kolkata",
        "Antarctica/Troll",
    ]
)
_DAYS = st.sampled_from(
    [
        "2026-03-08",
        "2026-03-29",
        "2026-04-05",
        "2026-04-24",
        "2026-07-01",
        "2026-10-04",
        "2026-10-25",
        "2026-10-30",
        "2026-11-01",
    ]
)


@cache
def _clock(zone: str, begin: datetime, end: datetime) -> list[tuple[datetime, datetime, list[datetime]]]:
    """Every minute with what the local clock shows, and the times in a gap that this minute stands for."""
    tz = ZoneInfo(zone)
    shown = []
    for number in range(int((end - begin) / MINUTE) + 1):
        instant = begin + number * MINUTE
        shadows = []
        for hours in (0.5, 1, 2):
            before = (instant - timedelta(hours=hours)).astimezone(tz).utcoffset() or timedelta()
            shadow = (instant + before).replace(tzinfo=None)
            if shadow.replace(tzinfo=tz).astimezone(UTC).astimezone(tz).replace(tzinfo=None) != shadow:
                shadows.append(shadow)
        shown.append((instant, instant.astimezone(tz), shadows))
    return shown


def _expected(schedule: str, zone: str, begin: datetime, end: datetime) -> set[datetime]:
    """The slots by trying every minute: of the local clock, and (for a gap) of the clock as it was before."""
    line = cron_line(schedule)

    def fits(wall: datetime) -> bool:
        day = wall.day in line.day.values
        weekday = wall.isoweekday() % 7 in line.weekday.values
        restricted = not line.day.starred and not line.weekday.starred
        return (
            wall.minute in line.minute.values
            and wall.hour in line.hour.values
            and wall.month in line.month.values
            and ((day or weekday) if restricted else (day and weekday))
        )

    return {
        instant
        for instant, wall, shadows in _clock(zone, begin, end)
        if (fits(wall) and (not wall.fold or line.hour.starred)) or any(map(fits, shadows))
    }


@given(_LINES, _ZONES, _DAYS)
def test_cron_slots_are_those_of_a_search_minute_by_minute(schedule: str, zone: str, day: str) -> None:
    """Over three days around changes of the clocks: every slot is found, none twice, none between."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    end = begin + timedelta(days=3)
    found = []
    for slot in slots(rule(schedule, timezone=zone), begin - MINUTE):
        if slot > end:
            break
        found.append(slot)
    assert found == sorted(set(found))
    assert set(found) == _expected(schedule, zone, begin, end)


@given(
    st.one_of(_LINES, st.integers(1, 100_000).map(lambda seconds: f"every {seconds}s")),
    _ZONES,
    st.sampled_from([None, "0.5s", "5s", "10m", "1d"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
)
def test_slots_increase_and_each_is_due_before_the_next(
    schedule: str, zone: str, jitter: str | None, after: datetime
) -> None:
    """slot < due < next slot, whatever the schedule, the zone and the jitter."""
    made = rule(schedule, timezone=zone, jitter=jitter)
    found = [made.following(after)]
    while len(found) < 6 and (last := found[-1]) is not None:
        found.append(made.following(last[0]))
    pairs = [pair for pair in found if pair is not None]
    assert all(after < slot <= due for slot, due in pairs)
    assert all(due < slot for (_, due), (slot, _) in pairwise(pairs))


@given(_LINES, _ZONES, st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC)), st.data())
def test_no_slot_is_skipped_from_wherever_one_looks(schedule: str, zone: str, after: datetime, data: Any) -> None:
    """Between an instant and the slot after it there is no other slot."""
    made = rule(schedule, timezone=zone)
    following = made.following(after)
    assert following is not None
    between = after + (following[0] - after) * data.draw(st.floats(0, 0.999))
    assert made.following(between) == following
