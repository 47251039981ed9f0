"""Column types and texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from kasparro_adapters.sql.types import Instant, instant, instant_text, storable

_instants = st.datetimes(timezones=st.just(UTC))
_SQLITE = sqlite.dialect()


@given(_instants, _instants)
def test_texts_of_instants_sort_as_instants(one: datetime, other: datetime) -> None:
    """Comparing the texts is comparing the instants, to the microsecond, in every year."""
    assert (instant_text(one) < instant_text(other)) == (one < other)
    assert (instant_text(one) == instant_text(other)) == (one == other)


@given(_instants)
def test_instants_come_back_from_their_texts(moment: datetime) -> None:
    """Writing and reading on SQLite is the identity."""
    assert Instant().process_result_value(Instant().process_bind_param(moment, _SQLITE), _SQLITE) == moment


def test_other_zones_are_written_in_utc() -> None:
    """The zone is lost, the instant is not."""
    moment = datetime(2026, 7, 1, 1, 15, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert instant_text(moment) == "2026-06-30T19:30:00.000000Z"


def test_naive_times_are_refused() -> None:
    """Nobody knows which instant a naive time means."""
    with pytest.raises(ValueError, match="naive"):
        Instant().process_bind_param(datetime(2026, 1, 1), _SQLITE)


def test_a_driver_time_without_zone_is_utc() -> None:
    """asyncpg gives the ends of the calendar without a zone."""
    assert instant(datetime.min) == datetime.min.replace(tzinfo=UTC)


def test_what_no_database_takes_is_replaced() -> None:
    """NUL and lone surrogates become U+FFFD, everything else stays."""
    assert storable("a\0b\ud800c\U0001f600") == "a�b�c\U0001f600"
