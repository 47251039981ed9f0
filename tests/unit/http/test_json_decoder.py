"""JSON payloads: exact numbers, distinct refusals, records at a path."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.http import JsonDecoder
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import RawPayload
from kasparro_core.testing import DecoderContract


def decode(payload, records=None):
    return JsonDecoder().decode(RawPayload(payload, {"format": "json", "records": records}))


class TestJsonDecoderKeepsTheContract(DecoderContract):
    """The contract of every Decoder."""

    @pytest.fixture
    def decoder(self):
        """The decoder."""
        return JsonDecoder()

    @pytest.fixture
    def payloads(self):
        """Arrays at the root and at a path, with elements that are no objects, an empty one, and a single object."""
        root = {"format": "json", "records": None}
        return [
            RawPayload(b'[{"a": 1.50}, 7, {"a": 2}, null, "x", [1]]', root),
            RawPayload(b'{"data": {"items": [{"a": 1}, {"a": 2}]}}', {"format": "json", "records": "data.items"}),
            RawPayload(b"[]", root),
            RawPayload(b'{"a": 1}', root),
        ]

    @pytest.fixture
    def bad_payloads(self):
        """HTML, nothing, and half of an array."""
        facts = {"format": "json", "records": None}
        return [RawPayload(body, facts) for body in (b"<html></html>", b"", b'[{"a": 1}, {"a"')]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("7e-06", Decimal("0.000007")),
        ("1e+15", Decimal("1e15")),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("115792089237316195423570985008687907853269984665640564039457", None),
        ("1e400", Decimal("1e400")),
        ("245", 245),
        ("-0.0", Decimal("-0.0")),
    ],
)
def test_numbers_are_exact(literal, value):
    """Fractions and exponents are Decimals with all their digits, integers of any size are ints."""
    found = decode(f'[{{"v": {literal}}}]'.encode()).items[0].data["v"]
    expected = int(literal) if value is None else value
    assert found == expected
    assert type(found) is type(expected)
    assert str(found) == str(expected)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "empty_body"),
        (b" \r\n\t", "empty_body"),
        (b"\xef\xbb\xbf", "empty_body"),
        (b"<!DOCTYPE html><title>Just a moment...</title>", "html_for_json"),
        (b"\xef\xbb\xbf <html>", "html_for_json"),
        (b'["\xff"]', "not_utf8"),
        (b'["\xed\xa0\x80"]', "not_utf8"),
        (b"[NaN]", "json_nan"),
        (b"[Infinity]", "json_nan"),
        (b'["\\ud800"]', "not_json"),
        (b'[{"a": 1}', "json_truncated"),
        (b'[{"a": 1.', "json_truncated"),
        ('["ä'.encode()[:-1], "json_truncated"),
        (b'[{"a": -Infinity, "b": 1}]', "json_nan"),
        (b'{"a":nan}', "json_nan"),
        (b'["NaN", x]', "not_json"),
        (b"[Nancy]", "not_json"),
        ("[1]".encode("utf-16-le"), "not_utf8"),
        ("[1]".encode("utf-32-be"), "not_utf8"),
        (b"[1] [2]", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'["a\x00b"]', "not_json"),
        (b"[" * 100_000, "json_depth"),
        (b'{"a":' * 100_000, "json_depth"),
        (b"[" + b"9" * 5_000 + b"]", "number_out_of_range"),
        (b"[1e99999999999999999999]", "number_out_of_range"),
        (b"7", "records_not_array"),
        (b'"text"', "records_not_array"),
        (b"true", "records_not_array"),
    ],
)
def test_what_is_not_json_is_told_apart(payload, code):
    """Each kind of wrong body has its own code and a sentence, never an uncaught exception."""
    with pytest.raises(PermanentSourceError) as caught:
        decode(payload)
    assert caught.value.code == code
    assert str(caught.value)


def test_the_title_of_a_page_is_shown():
    """A page of HTML in place of JSON is named by its title."""
    with pytest.raises(PermanentSourceError, match="Just a moment"):
        decode(b"<html><title>Just a moment...</title></html>")


def test_a_byte_order_mark_is_skipped():
    """JSON that begins with a UTF-8 byte order mark is read (RFC 8259 allows it)."""
    assert [item.data for item in decode(b'\xef\xbb\xbf[{"a": 1}]').items] == [{"a": 1}]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"data": {"items": [{"a": 1}]}}, "data.items"),
        ({"data": [{"x": 0}, {"items": [{"a": 1}]}]}, "data[1].items"),
        ({"data.items": [{"a": 1}], "data": {}}, "data.items"),
        ([[{"a": 1}]], "[0]"),
        ([{"a": 1}], None),
        ({"a": 1}, None),
        ({"data": {"a": 1}}, "data"),
    ],
)
def test_records_are_found_at_their_path(document, path):
    """A dotted path with indexes leads to the array; a name of just that spelling goes first; an object is one item."""
    assert [item.data for item in decode(json.dumps(document).encode(), path).items] == [{"a": 1}]


@pytest.mark.parametrize(("document", "path"), [(None, None), ({"data": None}, "data"), ([], None), ({"d": []}, "d")])
def test_null_and_an_empty_array_are_no_items(document, path):
    """Null stands for an empty list."""
    decoded = decode(json.dumps(document).encode(), path)
    assert (list(decoded.items), list(decoded.rejections)) == ([], [])


@pytest.mark.parametrize(
    ("document", "path", "says"),
    [
        ({"status": "ok", "result": {}}, "data.items", "status, result"),
        ({"data": {"rows": []}}, "data.items", "rows"),
        ({"data": []}, "data.items", "array of 0"),
        ({}, "data", "empty object"),
        ([1, 2], "[5]", "array of 2"),
        ({f"k{n}": n for n in range(40)}, "data", "and 28 more"),
    ],
)
def test_a_wrong_path_tells_what_is_there(document, path, says):
    """Where nothing stands at the path, the error names the keys that are there."""
    with pytest.raises(PermanentSourceError) as caught:
        decode(json.dumps(document).encode(), path)
    assert caught.value.code == "records_not_found"
    assert says in caught.value.message


def test_elements_that_are_no_objects_are_rejected_one_by_one():
    """A number among the objects costs that element alone, and keeps its place in the count."""
    decoded = decode(b'[{"a": 1}, 7, {"a": 2}]')
    assert [item.index for item in decoded.items] == [0, 2]
    (refused,) = decoded.rejections
    assert (refused.index, refused.code, refused.payload) == (1, "not_an_object", 7)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=8))
def test_items_and_rejections_are_all_there_is(elements):
    """Whatever an array holds, its objects are items as they stand, all else is a rejection, and none is lost."""
    decoded = decode(json.dumps(elements).encode())
    assert [item.data for item in decoded.items] == [each for each in elements if isinstance(each, dict)]
    assert len(decoded.items) + len(decoded.rejections) == len(elements)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_else(payload):
    """Arbitrary bytes are decoded or refused as a PermanentSourceError."""
    try:
        decode(payload)
    except PermanentSourceError as error:
        assert error.code


@pytest.mark.parametrize("literal", ["1e999999999", "-1.5E-6000", "1e5001"])
def test_a_number_that_would_fill_the_memory_is_refused(literal):
    """A few bytes may not stand for megabytes of digits; what any store can hold is far below that bound."""
    with pytest.raises(PermanentSourceError) as caught:
        JsonDecoder().decode(RawPayload(f'[{{"a": {literal}}}]'.encode(), {"format": "json", "records": None}))
    assert caught.value.code == "number_out_of_range"
