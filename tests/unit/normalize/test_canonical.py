"""One text for one value."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.model import Record
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json, parse_json, rfc3339
from kasparro_core.normalize.hashing import record_hash

exact = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda number: abs(number.adjusted()) < 1000)
safe_text = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | exact | safe_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(safe_text, inner, max_size=4),
)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("0", "0"), ("-0", "0"), ("-0.00", "0"), ("0E+10", "0"), ("0E-10", "0"), ("1.500", "1.5"), ("100", "100"),
        ("1E+3", "1000"), ("-1.50E-3", "-0.0015"), ("7E-6", "0.000007"), ("10.0", "10"), ("1E-7", "0.0000001"),
    ],
)  # fmt: skip
def test_canonical_decimals(number, expected):
    """No exponent, no trailing zeros, no negative zero."""
    assert canonical_decimal(Decimal(number)) == expected


@pytest.mark.parametrize("number", ["NaN", "sNaN", "NaN12", "Infinity", "-Infinity"])
def test_what_is_no_number_is_an_error(number):
    """NaN and infinities never reach a text."""
    with pytest.raises(ValueError, match="no place"):
        canonical_json(Decimal(number))
    with pytest.raises(ValueError, match="no place"):
        canonical_json([float(number.replace("sNaN", "nan").replace("12", ""))])


@given(exact, exact)
def test_equal_decimals_have_one_text(one, two):
    """Two decimals are equal exactly when their texts are."""
    assert (canonical_decimal(one) == canonical_decimal(two)) == (one == two)
    assert Decimal(canonical_decimal(one)) == one


@given(values)
def test_json_round_trip(value):
    """What is written reads back equal, and writes the same again; the standard parser reads it too."""
    written = canonical_json(value)
    assert parse_json(written) == value
    assert canonical_json(parse_json(written)) == written
    json.loads(written)


@given(st.dictionaries(safe_text, values, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(fields, random):
    """Fields in any order are one text."""
    names = list(fields)
    random.shuffle(names)
    shuffled = {name: fields[name] for name in names}
    assert canonical_json(fields) == canonical_json(shuffled)


def test_numbers_that_are_equal_are_one_text():
    """1, 1.0 and Decimal("1.00") cannot be told apart; true can."""
    assert canonical_json([1, 1.0, Decimal("1.00"), 1e0]) == "[1,1,1,1]"
    assert canonical_json([True, False, None]) == "[true,false,null]"
    assert parse_json("[1, 1.0, 7e-06]") == [1, Decimal("1.0"), Decimal("0.000007")]
    assert [type(number) for number in parse_json("[1, 1.0]")] == [int, Decimal]


def test_times():
    """Times are RFC 3339 in UTC; one without a zone is no instant."""
    moment = datetime(2024, 1, 31, 10, 20, 30, 5000, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2024-01-31T08:20:30.005000Z"
    assert rfc3339(datetime(31, 1, 1, tzinfo=UTC)) == "0031-01-01T00:00:00Z"
    assert canonical_json({"at": moment}) == '{"at":"2024-01-31T08:20:30.005000Z"}'


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", [b"x"], {"a": object()}])
def test_what_is_no_json_is_an_error(value):
    """Python objects without a JSON form raise instead of being shown by chance."""
    with pytest.raises(TypeError):
        canonical_json(value)


@pytest.mark.parametrize("written", ["NaN", "[Infinity]", "{", "", "01"])
def test_what_is_no_json_text_is_an_error(written):
    """The parser refuses what the standard forbids."""
    with pytest.raises(ValueError):
        parse_json(written)


BASE = Record("s", "k", "quote", "id", "Title", "BTC", Decimal(1), "USD", None, None, {"rank": 1})


@pytest.mark.parametrize(
    "change",
    [
        {"external_id": "other"}, {"title": None}, {"symbol": "ETH"}, {"value": Decimal("1.0000001")}, {"value": None},
        {"currency": "EUR"}, {"url": "https://example.com"}, {"occurred_at": datetime(2024, 1, 1, tzinfo=UTC)},
        {"attributes": {"rank": 2}}, {"attributes": {"rank": 1, "x": None}}, {"attributes": {"rank": "1"}},
    ],
)  # fmt: skip
def test_every_mapped_field_is_in_the_hash(change):
    """Any change of content changes the hash."""
    changed = BASE._replace(**change)
    assert record_hash(changed, canonical_json(changed.attributes)) != record_hash(BASE, '{"rank":1}')


def test_the_hash_ignores_how_a_number_is_written():
    """1 and 1.0 are the same content."""
    same = BASE._replace(value=Decimal("1.00"), attributes={"rank": 1.0})
    assert record_hash(same, canonical_json(same.attributes)) == record_hash(BASE, canonical_json(BASE.attributes))


def test_an_article_changes_when_it_is_edited():
    """Title, url, summary and content make an edit; a new date or tag does not."""
    article = Record("s", "k", "article", title="T", url="https://x", attributes={"summary": "s", "content": "c"})

    def digest(record):
        return record_hash(record, canonical_json(record.attributes))

    for change in ({"title": "U"}, {"url": None}, {"attributes": {"summary": "s2", "content": "c"}}):
        assert digest(article._replace(**change)) != digest(article)
    dated = article._replace(
        occurred_at=datetime(2024, 1, 1, tzinfo=UTC), attributes={**article.attributes, "tags": ["a"]}
    )
    assert digest(dated) == digest(article)
