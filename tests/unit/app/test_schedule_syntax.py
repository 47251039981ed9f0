"""Schedules as a person writes them."""

from __future__ import annotations

import pytest

from kasparro_app.config.schedule import interval_seconds, schedule_fault


@pytest.mark.parametrize(
    "schedule",
    [
        "manual",
        "every 5m",
        "Every 90s",
        "every 1.5h",
        "every 1d",
        "*/5 * * * *",
        "0 9-17 * * mon-fri",
        "0 0 1,15 jan *",
    ],
)
def test_good_schedules_have_no_fault(schedule: str) -> None:
    """Words, intervals and cron lines with names, lists, spans and steps are taken."""
    assert schedule_fault(schedule) is None


@pytest.mark.parametrize(
    ("schedule", "part"),
    [
        ("evry 5m", "every 15m"),
        ("every 0s", "at least one second"),
        ("every 5 parsecs", "five fields"),
        ("* * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of month"),
        ("* * * foo *", "month"),
        ("* * * * 8", "day of week"),
        ("*/0 * * * *", "minute"),
        ("9-5 * * * *", "minute"),
    ],
)
def test_bad_schedules_say_what_was_expected(schedule: str, part: str) -> None:
    """Each fault names the part that is wrong or the forms there are."""
    assert part in str(schedule_fault(schedule))


def test_an_interval_is_told_in_seconds() -> None:
    """Only "every" schedules have an interval."""
    assert (interval_seconds("every 15m"), interval_seconds("manual"), interval_seconds("* * * * *")) == (
        900,
        None,
        None,
    )
