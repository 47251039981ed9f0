"""Text, symbols, URLs, booleans and unmapped JSON: total, idempotent, and safe for every store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.normalize.decimals import decimal, decimal_coercion, integer, integer_coercion
from kasparro_core.normalize.safe import MAX_DEPTH, json_value, presentable
from kasparro_core.normalize.text import storable, text, trimmed, upper, url
from kasparro_core.normalize.timestamps import timestamp, timestamp_coercion, timestamp_text_coercion
from kasparro_core.normalize.values import Refusal, boolean, shown, with_nulls

any_text = st.text(st.characters(codec=None) | st.sampled_from("\0\ud800\u00a0İıſ"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | any_text
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.binary(max_size=3)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text | st.integers(), inner, max_size=4)
)
COERCIONS = {
    "text": text,
    "trimmed": trimmed,
    "upper": upper,
    "url": url,
    "boolean": boolean,
    "decimal": decimal,
    "decimal comma": decimal_coercion(","),
    "integer": integer,
    "integer comma": integer_coercion(","),
    "timestamp": timestamp,
    "timestamp text": timestamp_text_coercion(),
    "epoch": timestamp_coercion(unit="ms"),
    "format": timestamp_coercion(["%d/%m/%Y"]),
    "json": json_value,
    "with nulls": with_nulls(json_value, ["-", "NaN"]),
}


@pytest.mark.parametrize("name", COERCIONS)
@given(raw=anything)
def test_every_coercion_is_total_and_idempotent(name, raw):
    """Whatever the value, a coercion returns: the value, null or a refusal; its result coerces to itself."""
    result = COERCIONS[name](raw)
    if isinstance(result, Refusal):
        assert result.code
        assert storable(ascii(result.message))
        return
    again = COERCIONS[name](result)
    assert again == result
    assert type(again) is type(result)


@given(anything)
def test_what_json_value_accepts_can_be_written(raw):
    """An accepted value has canonical JSON that every store can hold."""
    result = json_value(raw)
    if not isinstance(result, Refusal):
        assert storable(canonical_json(result))


@given(anything)
def test_anything_can_be_presented(raw):
    """A rejection's payload is always JSON that can be encoded, whatever it was."""
    canonical_json(presentable(raw)).encode()
    assert isinstance(shown(raw), str)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Bitcoin ", "Bitcoin "),
        (" ", None),
        ("", None),
        (None, None),
        (5, "5"),
        (1.0, "1"),
        (Decimal("1.50"), "1.5"),
        (True, "true"),
        (date(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, tzinfo=UTC), "2024-01-31T00:00:00Z"),
        ("Ω\U0001f600", "Ω\U0001f600"),
    ],
)
def test_text(raw, expected):
    """Text stays as it is, numbers become their text, blank text is null."""
    assert text(raw) == expected


@pytest.mark.parametrize("raw", ["a\0b", "\ud800", "x\udfffy", [], {}, b"x", float("nan")])
def test_text_that_no_store_holds_is_refused(raw):
    """NUL, lone surrogates, and what is no text are refused."""
    assert text(raw).code in {"text_invalid", "decimal_invalid"}
    assert isinstance(trimmed(raw), Refusal)
    assert isinstance(upper(raw), Refusal)


def test_symbols_meet_in_upper_case():
    """The symbols of two sources are one text."""
    assert upper(" btc") == upper("BTC") == "BTC"
    assert upper("Ωpln") == "ΩPLN"
    assert trimmed(" $FJB\n") == "$FJB"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
        (" HTTP://Example.com ", "HTTP://Example.com"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://пример.рф/путь", "https://пример.рф/путь"),
        ("http://[::1]:8000/", "http://[::1]:8000/"),
        ("", None),
        (None, None),
    ],
)
def test_urls(raw, expected):
    """Absolute http and https URLs stay; blanks inside are escaped."""
    assert url(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "/relative",
        "//example.com/",
        "example.com",
        "javascript:alert(1)",
        "mailto:a@example.com",
        "ftp://example.com/",
        "http:///path",
        "https://exa mple.com/",
        "https://example.com/\r\nSet-Cookie: x",
        "https://example.com/\x00",
        "https://example.com/\x85x",
        "https://example.com/<script>",
        "http\u017f://example.com/",
        "https://example.com/\ud800",
        5,
        True,
        [],
    ],
)
def test_what_is_no_url(raw):
    """Other schemes, relative links and control characters are refused."""
    assert url(raw).code == "url_invalid"


@pytest.mark.parametrize("raw", [True, "true", "TRUE ", "yes", "1", 1, 1.0, Decimal(1)])
def test_true(raw):
    """The ways of saying true."""
    assert boolean(raw) is True


@pytest.mark.parametrize("raw", [False, "false", "No", "0", 0, Decimal("0.0")])
def test_false(raw):
    """The ways of saying false; zero is not null."""
    assert boolean(raw) is False


@pytest.mark.parametrize("raw", ["maybe", 2, -1, [], {}, float("nan"), Decimal("sNaN"), "ja"])
def test_neither_true_nor_false(raw):
    """Everything else is refused."""
    assert boolean(raw).code == "boolean_invalid"


def nested(depth):
    """Lists in lists, `depth` deep."""
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded():
    """Nesting beyond the bound is refused without exhausting the stack, and can still be presented."""
    assert json_value(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    assert json_value(nested(MAX_DEPTH + 1)).code == "json_too_deep"
    assert json_value(nested(100_000)).code == "json_too_deep"
    canonical_json(presentable(nested(100_000)))


def test_unmapped_json_keeps_numbers_exact():
    """Floats become the decimal they were written as; text that looks like a number stays text."""
    assert json_value({"a": [0.1, 1, "0.10", None, True]}) == {"a": [Decimal("0.1"), 1, "0.10", None, True]}
    assert json_value([float("nan")]).code == "decimal_invalid"
    assert json_value({1: 2}).code == "json_invalid"
    assert json_value({"a": {"\ud800": 1}}).code == "json_invalid"
    assert json_value([{1, 2}]).code == "json_invalid"


def test_declared_nulls():
    """Declared texts are null with or without blanks around; other texts go on."""
    coerce = with_nulls(decimal, ["-", " NaN "])
    assert coerce("-") is None
    assert coerce(" NaN") is None
    assert coerce("-5") == -5
    assert coerce("n/a").code == "decimal_invalid"
    assert with_nulls(decimal, []) is decimal
