"""When timed runs leave a partition alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.model import GONE, PartitionState, SkipReason
from kasparro_core.policy.courtesy import DAYS, Hold, Quiet, hold_of, patience

SATURDAY = datetime(2024, 6, 1, 10, 30, tzinfo=UTC)
QUIETS = st.builds(
    Quiet, st.frozensets(st.integers(0, 23), max_size=24), st.frozensets(st.sampled_from(DAYS), max_size=7)
)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(quiet=QUIETS, instant=INSTANTS)
def test_what_is_not_quiet_comes_again(quiet: Quiet, instant: datetime) -> None:
    """The end lies at most a week ahead, is not quiet itself, and every hour before it is."""
    end = quiet.end(instant)
    hours = quiet.hours if len(quiet.hours) < 24 else frozenset()
    days = quiet.days if len(quiet.days) < 7 else frozenset()

    def is_quiet(at: datetime) -> bool:
        return at.hour in hours or DAYS[at.weekday()] in days

    assert instant <= end <= instant + timedelta(days=8)
    assert not is_quiet(end)
    steps = int((end - instant) / timedelta(hours=1))
    assert all(is_quiet(instant + timedelta(hours=step)) for step in range(steps))


@given(quiet=QUIETS, instant=INSTANTS)
def test_the_text_says_it_all(quiet: Quiet, instant: datetime) -> None:
    """What is stored is what was meant."""
    assert Quiet.of(quiet.text).end(instant) == quiet.end(instant)


@pytest.mark.parametrize("text", ["", "hours=", "nonsense", "hours=99", "hours=٣", "days=Someday"])
def test_a_text_that_is_not_understood_keeps_nobody_away(text: str) -> None:
    """A row that somebody edited does not stop a feed."""
    assert Quiet.of(text).end(SATURDAY) == SATURDAY


def state(**facts: object) -> PartitionState:
    """A row about the address `a`."""
    return PartitionState("s", "", origin="a", **facts)  # type: ignore[arg-type]


def test_who_is_left_alone() -> None:
    """Gone: for good. Not due: until the later of what is asked for. Said of another address: not at all."""
    later = SATURDAY + timedelta(hours=1)
    assert hold_of(None, "a", SATURDAY) is None
    assert hold_of(state(), "a", SATURDAY) is None
    assert hold_of(state(state=GONE), "a", SATURDAY) == Hold(SkipReason.GONE)
    assert hold_of(state(state=GONE), "b", SATURDAY) is None
    assert hold_of(state(next_at=later), "a", SATURDAY) == Hold(SkipReason.NOT_DUE, later)
    assert hold_of(state(next_at=SATURDAY), "a", SATURDAY) is None
    assert hold_of(state(next_at=later), "b", SATURDAY) is None
    quiet = "hours=11 days=Sunday"
    assert hold_of(state(quiet=quiet), "a", SATURDAY, SATURDAY) is None
    noon = SATURDAY.replace(hour=12, minute=0)
    assert hold_of(state(quiet=quiet, next_at=later), "a", SATURDAY, SATURDAY) == Hold(SkipReason.NOT_DUE, noon)
    night = SATURDAY.replace(hour=23) + timedelta(hours=1)
    monday = datetime(2024, 6, 3, tzinfo=UTC)
    assert hold_of(state(quiet=quiet, next_at=night), "a", SATURDAY, SATURDAY) == Hold(SkipReason.NOT_DUE, monday)


def test_no_wish_holds_longer_than_a_week() -> None:
    """Quiet hours give way a week after the last read, or where none is known; an instant further ahead was noted under
    a clock that has been put back since, and so was a last read."""
    quiet, week = state(quiet="hours=10"), timedelta(days=7)
    eleven = SATURDAY.replace(hour=11, minute=0)
    for age in (week - timedelta(seconds=1), timedelta(0), -timedelta(hours=1)):
        assert hold_of(quiet, "a", SATURDAY, SATURDAY - age) == Hold(SkipReason.NOT_DUE, eleven)
    for read_at in (None, SATURDAY - week, SATURDAY + timedelta(days=4000)):
        assert hold_of(quiet, "a", SATURDAY, read_at) is None
    assert hold_of(state(next_at=SATURDAY + week), "a", SATURDAY) == Hold(SkipReason.NOT_DUE, SATURDAY + week)
    assert hold_of(state(next_at=SATURDAY + timedelta(days=4000)), "a", SATURDAY) is None


def test_patience_is_a_part_of_the_interval() -> None:
    """A run waits at most a minute, and under a short interval never as long as to miss a slot."""
    assert [patience(interval) for interval in (None, 8.0, 3600.0)] == [60.0, 1.0, 60.0]
    hold = Hold(SkipReason.NOT_DUE, SATURDAY + timedelta(seconds=10))
    assert (hold.wait(SATURDAY, 10.0), hold.wait(SATURDAY, 9.0), Hold(SkipReason.GONE).wait(SATURDAY, 1e9)) == (
        10.0,
        None,
        None,
    )
