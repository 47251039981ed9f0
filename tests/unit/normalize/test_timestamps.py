"""Instants: one reading or none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.normalize.formats import compile_format
from kasparro_core.normalize.iso import usual_time
from kasparro_core.normalize.timestamps import timestamp, timestamp_coercion, timestamp_text_coercion
from kasparro_core.normalize.values import Refusal
from kasparro_core.normalize.zones import load_zone

moments = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


def text_of(result):
    """The RFC 3339 text of a result, which must be an instant in UTC."""
    assert isinstance(result, datetime), result
    assert result.tzinfo is UTC
    return rfc3339(result)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2024-01-31T10:20:30Z", "2024-01-31T10:20:30Z"),
        ("2024-01-31T10:20:30.5Z", "2024-01-31T10:20:30.500000Z"),
        ("2024-01-31T10:20:30.123456789Z", "2024-01-31T10:20:30.123456Z"),
        ("2024-01-31T10:20:30,25+00:00", "2024-01-31T10:20:30.250000Z"),
        ("2024-01-31 10:20:30", "2024-01-31T10:20:30Z"),
        ("2024-01-31 10:20:30+05:30", "2024-01-31T04:50:30Z"),
        ("2024-01-31 10:20:30 -0800", "2024-01-31T18:20:30Z"),
        ("2024-01-31t10:20z", "2024-01-31T10:20:00Z"),
        ("2024-01-31T10Z", "2024-01-31T10:00:00Z"),
        ("20240131T102030Z", "2024-01-31T10:20:30Z"),
        ("20240131T1020", "2024-01-31T10:20:00Z"),
        ("20240131", "2024-01-31T00:00:00Z"),
        ("20240131102030", "2024-01-31T10:20:30Z"),
        ("2024-01-31", "2024-01-31T00:00:00Z"),
        ("2024-01", "2024-01-01T00:00:00Z"),
        ("2024", "2024-01-01T00:00:00Z"),
        ("2024-W05-3", "2024-01-31T00:00:00Z"),
        ("2024W053T1020", "2024-01-31T10:20:00Z"),
        ("2024-031", "2024-01-31T00:00:00Z"),
        ("2024-12-31T24:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-01-31T10:20:30 UTC", "2024-01-31T10:20:30Z"),
        ("2024-01-31 10:20:30 +0000 UTC", "2024-01-31T10:20:30Z"),
        ("  2024-01-31T10:20:30Z\n", "2024-01-31T10:20:30Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("Thu, 01 Jan 2004 19:48:21 GMT", "2004-01-01T19:48:21Z"),
        ("Thu, 01 Jan 04 19:48:21 +0100", "2004-01-01T18:48:21Z"),
        ("01 Jan 50 00:00 EST", "1950-01-01T05:00:00Z"),
        ("Mon, 1 Jan 2004 19:48 PDT", "2004-01-02T02:48:00Z"),
        ("Fri,24 Nov 2023 18:28:36 -0000", "2023-11-24T18:28:36Z"),
        ("Thu, 01 Jan 2004", "2004-01-01T00:00:00Z"),
        ("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        ("Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"),
        ("Thu Sep 25 10:36:28 EDT 2003", "2003-09-25T14:36:28Z"),
        ("Thu Nov 12 2020 17:00:00 GMT+0100 (Central European Standard Time)", "2020-11-12T16:00:00Z"),
        ("Thu, 31 Aug 2023 09:00:00 ET", "2023-08-31T13:00:00Z"),
        ("Wed, 19 Aug 2009 18:28:00 Europe/Berlin", "2009-08-19T16:28:00Z"),
        ("Feb 20, 2018", "2018-02-20T00:00:00Z"),
        ("16th Nov 2020 1:05 PM", "2020-11-16T13:05:00Z"),
        ("Nov. 16, 2020, 12:57 a.m.", "2020-11-16T00:57:00Z"),
        ("ven., 03 juil. 2020 15:09:58 +0000", "2020-07-03T15:09:58Z"),
        ("Do, 29 Mär 2018 00:00:00 +0200", "2018-03-28T22:00:00Z"),
        ("03/30/2020 - 19:19", "2020-03-30T19:19:00Z"),
        ("30.03.2020", "2020-03-30T00:00:00Z"),
        ("05/05/2020", "2020-05-05T00:00:00Z"),
        ("Sat, 11 04 2020 08:51:49 +0100", "2020-04-11T07:51:49Z"),
        ("2006/09/15 08:19:53", "2006-09-15T08:19:53Z"),
        ("1520932969", "2018-03-13T09:22:49Z"),
        ("1605830400.0", "2020-11-20T00:00:00Z"),
        (1520932969, "2018-03-13T09:22:49Z"),
        (1520932969123, "2018-03-13T09:22:49.123000Z"),
        (1520932969123456, "2018-03-13T09:22:49.123456Z"),
        (1520932969123456789, "2018-03-13T09:22:49.123456Z"),
        (1520932969.25, "2018-03-13T09:22:49.250000Z"),
        (Decimal("1520932969.1234567"), "2018-03-13T09:22:49.123456Z"),
        (datetime(2024, 1, 31, 10, tzinfo=timezone(timedelta(hours=2))), "2024-01-31T08:00:00Z"),
        (datetime(2024, 1, 31, 10), "2024-01-31T10:00:00Z"),
        (date(2024, 1, 31), "2024-01-31T00:00:00Z"),
    ],
)
def test_forms_with_one_reading(raw, expected):
    """ISO 8601, mail and feed dates, and epochs of clear size become the instant they mean."""
    assert text_of(timestamp(raw)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "2024-02-30",
        "2023-02-29T00:00:00Z",
        "2024-13-01",
        "2024-01-31T25:00:00Z",
        "2024-01-31T24:01:00Z",
        "2024-01-31T10:60:00Z",
        "2016-12-31T23:59:60Z",
        "2024-01-31T10:20:30+24:00",
        "2024-01-31T10:20:30+05:60",
        "2024-01-31x10:20:30",
        "2024-01-31T10:20:30Textra",
        "2020-11-08T16:20:00-05:00Z",
        "2024-366x",
        "2023-366",
        "2024-W54-1",
        "2024-W05",
        "٢٠٢٤-٠١-٣١",
        "2024-01-31T10:20:30 K",
        "Thu, 01 Jan 2004 19:48:21 BST",
        "Thu, 01 Jan 2004 19:48:21 A",
        "31 Feb 2020",
        "Sun, 16 zzz 2012 11:47:32 GMT",
        "Sun, 16 Dec 2012 11:47:32 +zz:00",
        "1 Jan 2020 13:00 PM",
        "08/17/14 17:00 (PDT?)",
        "10:36",
        "Sep",
        "tomorrow",
        "x" * 500,
        "\x00",
        "\ud800",
        "5 \u0131an 2020",
        "1 \u017fep 2020",
        True,
        [],
        {},
        float("nan"),
    ],
)
def test_impossible_and_unknown_forms_are_refused(raw):
    """A date that does not exist, or a form that nobody declared, is refused."""
    assert timestamp(raw).code == "timestamp_invalid"


@pytest.mark.parametrize(
    "raw", ["03/04/2024", "10.09.2003", "03-12-31", "30.10.23", "199709020908", "22013", "013", 2024, 5, 0, -1.6e9]
)
def test_several_readings_are_refused(raw):
    """Where day and month, or the unit of an epoch, could be either, nothing is guessed."""
    assert timestamp(raw).code == "timestamp_ambiguous"


def test_instants_outside_the_calendar_are_refused():
    """Offsets and epochs that lead out of the years 1 to 9999 are out of range."""
    assert timestamp("0001-01-01T00:00:00+05:00").code == "timestamp_out_of_range"
    assert timestamp_coercion(unit="s")(10**15).code == "timestamp_out_of_range"
    assert timestamp_coercion(unit="s")(Decimal("1E+900")).code == "timestamp_out_of_range"


@pytest.mark.parametrize("raw", [None, "", "  "])
def test_nothing_is_null(raw):
    """Null and blank text are null."""
    assert timestamp(raw) is None
    assert timestamp_coercion(unit="ms")(raw) is None
    assert timestamp_coercion(["%Y-%m-%d"])(raw) is None


@pytest.mark.parametrize(
    ("unit", "raw", "expected"),
    [
        ("s", 0, "1970-01-01T00:00:00Z"),
        ("s", "-1", "1969-12-31T23:59:59Z"),
        ("s", "1605830400.0", "2020-11-20T00:00:00Z"),
        ("s", "1.6058304e9", "2020-11-20T00:00:00Z"),
        ("ms", "1621066793712", "2021-05-15T08:19:53.712000Z"),
        ("ms", 1621066793712.5, "2021-05-15T08:19:53.712500Z"),
        ("us", 1, "1970-01-01T00:00:00.000001Z"),
        ("ns", 1999, "1970-01-01T00:00:00.000001Z"),
    ],
)
def test_declared_units(unit, raw, expected):
    """A declared unit makes every number one instant, exactly, cut off at microseconds."""
    assert text_of(timestamp_coercion(unit=unit)(raw)) == expected


def test_a_declared_unit_takes_no_dates():
    """Where an epoch is declared, a date text is refused rather than read by another rule."""
    assert timestamp_coercion(unit="s")("2024-01-31").code == "timestamp_invalid"


@pytest.mark.parametrize(
    ("formats", "raw", "expected"),
    [
        (["%Y-%m-%d"], "2024-01-31", "2024-01-31T00:00:00Z"),
        (["%Y-%m-%d"], "2024-1-3", "2024-01-03T00:00:00Z"),
        (["%d/%m/%Y"], "03/04/2024", "2024-04-03T00:00:00Z"),
        (["%m/%d/%Y"], "03/04/2024", "2024-03-04T00:00:00Z"),
        (["%d.%m.%Y"], "23.04.2022", "2022-04-23T00:00:00Z"),
        (["%Y%m%d%H%M%S"], "20240131102030", "2024-01-31T10:20:30Z"),
        (["%Y-%m-%d %H:%M:%S.%f"], "2024-01-31 10:20:30.1234567", "2024-01-31T10:20:30.123456Z"),
        (["%b %d, %Y"], "Feb 20, 2018", "2018-02-20T00:00:00Z"),
        (["%A, %d %B %y %I:%M %p"], "monday, 05 march 68 12:05 am", "2068-03-05T00:05:00Z"),
        (["%Y-%j"], "2024-366", "2024-12-31T00:00:00Z"),
        (["%Y-%m-%dT%H:%M:%S%z"], "2024-01-31T10:20:30+05:30", "2024-01-31T04:50:30Z"),
        (["%F %T %Z"], "2024-07-01 10:20:30 EST", "2024-07-01T15:20:30Z"),
        (["%d/%m/%Y", "%Y-%m-%d"], "2024-01-31", "2024-01-31T00:00:00Z"),
        (["100%% %Y-%m-%d"], "100% 2024-01-31", "2024-01-31T00:00:00Z"),
    ],
)
def test_declared_formats(formats, raw, expected):
    """The directives of strptime, in English whatever the locale, the first format that fits."""
    assert text_of(timestamp_coercion(formats)(raw)) == expected


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("%Y-%m-%d", "2024-02-30"),
        ("%Y-%m-%d", "2024-01-31T00:00:00Z"),
        ("%Y-%m-%d", "2024-W01-1"),
        ("%Y-%m-%d", "٢٠٢٤-01-31"),
        ("%Y-%j", "2023-366"),
        ("%d %b %Y", "1 \u017fep 2020"),
        ("%d/%m/%Y %H:%M", "31/01/2024 24:00"),
        ("%Y-%m-%d %Z", "2024-01-31 BST"),
        ("%d/%m/%Y", "1520932969"),
    ],
)
def test_declared_formats_refuse_everything_else(form, raw):
    """With a declared format, another form or an impossible date is refused."""
    assert timestamp_coercion([form])(raw).code == "timestamp_invalid"


@pytest.mark.parametrize("form", ["%H:%M", "%Y-%m", "%Q", "%Y-%m-%d %I:%M", "%Y-%m-%d %", "%Y %Y-%m-%d", ""])
def test_senseless_formats_are_told_at_once(form):
    """A format that cannot give a date is an error of the mapping, not of its rows."""
    with pytest.raises(ValueError, match="format"):
        compile_format(form)


def test_declared_zones():
    """A time without a zone is read in the declared one; skipped and doubled local times are refused."""
    berlin = timestamp_coercion(zone=load_zone("Europe/Berlin"))
    assert text_of(berlin("2024-07-01 12:00:00")) == "2024-07-01T10:00:00Z"
    assert text_of(berlin("2024-07-01T12:00:00Z")) == "2024-07-01T12:00:00Z"
    assert text_of(berlin("2024-01-01")) == "2023-12-31T23:00:00Z"
    assert berlin("2024-03-31 02:30:00").code == "timestamp_invalid"
    assert berlin("2024-10-27 02:30:00").code == "timestamp_ambiguous"
    assert text_of(berlin("2024-10-27 03:00:00")) == "2024-10-27T02:00:00Z"
    assert text_of(berlin("2024-03-31 03:00:00")) == "2024-03-31T01:00:00Z"


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "+25:00", "Europe"])
def test_unknown_zones_are_errors(name):
    """A zone that does not exist is told by name."""
    with pytest.raises(ValueError, match="unknown time zone"):
        load_zone(name)


@given(moments)
def test_round_trip(moment):
    """Canonical text, isoformat, epochs and mail dates of an instant read back as that instant."""
    assert timestamp(rfc3339(moment)) == moment
    assert timestamp(moment.isoformat()) == moment
    assert timestamp(moment) == moment
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert timestamp_coercion(unit="us")(micros) == moment
    assert timestamp_coercion(unit="us")(str(micros)) == moment
    text = timestamp_text_coercion()(rfc3339(moment))
    assert text == rfc3339(moment)
    assert timestamp_text_coercion()(text) == text


@given(st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2100, 1, 1)))
def test_zones_agree_with_the_calendar(naive):
    """A local time that is read in a zone is shown again by that zone's clocks."""
    zone = ZoneInfo("America/New_York")
    result = timestamp_coercion(zone=zone)(naive.isoformat())
    if isinstance(result, Refusal):
        offsets = {naive.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
        assert len(offsets) == 2
    else:
        assert result.astimezone(zone).replace(tzinfo=None) == naive


@given(st.text() | st.text(alphabet="0123456789-:.TZ +W/,aApPmMJjn", max_size=30))
def test_any_text_has_a_result(text):
    """No text makes a coercion raise, declared or not; a result is an instant in UTC, null or a refusal."""
    for coerce in (timestamp, timestamp_coercion(unit="s"), timestamp_coercion(["%d/%m/%Y", "%b %d %Y %z"])):
        result = coerce(text)
        assert result is None or isinstance(result, Refusal) or result.tzinfo is UTC


@given(st.from_regex(r"[0-9W+]{4}-[0-9W-]{2}-[0-9-]{2}T[0-9]{2}:[0-9:]{2}:[0-9]{2}(\.[0-9,Z+]{3})?Z", fullmatch=True))
def test_the_quick_way_reads_what_the_careful_way_reads(text):
    """The shape that skips the careful check gives the same instants: with a blank before the zone it is not taken."""
    slow = text[:-1] + " Z"
    assert usual_time(slow) is None
    quick, careful = timestamp(text), timestamp(slow)
    assert isinstance(quick, Refusal) == isinstance(careful, Refusal)
    if not isinstance(quick, Refusal):
        assert quick == careful
        assert timestamp_text_coercion()(text) == rfc3339(quick)
