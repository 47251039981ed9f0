"""Cursors: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_app.api.cursors import PlaceValue, decode_cursor, encode_cursor
from kasparro_app.api.problems import Problem

BINDING = {"source": "prices", "sort": "value", "q": None}
ANY = int | str | Decimal | datetime | None
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. "
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.builds(
        lambda negative, digits, exponent: Decimal((negative, digits, exponent)),
        st.booleans(),
        st.lists(st.integers(0, 9), min_size=1, max_size=50).map(tuple),
        st.integers(-1000, 1000),
    ),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0)),
)


def forged(body: Any) -> str:
    """A cursor with a right checksum and a body of the caller's own."""
    text = json.dumps(body).encode()
    return base64.urlsafe_b64encode(blake2b(text, digest_size=9).digest() + text).rstrip(b"=").decode()


def refused(text: str, binding: Any = BINDING, kind: str = "data", shape: tuple[Any, ...] = (ANY,)) -> bool:
    """Whether a cursor is refused as the contract says."""
    with pytest.raises(Problem) as caught:
        decode_cursor(text, kind, binding, shape)
    return caught.value.status == 422 and [fault.parameter for fault in caught.value.faults] == ["cursor"]


@given(st.lists(VALUES, max_size=4))
def test_a_place_survives_exactly(place: list[PlaceValue]) -> None:
    """Ids, texts, None, instants to the microsecond, Decimals with their zeros and exponents come back as they were."""
    text = encode_cursor("data", BINDING, place)
    back = decode_cursor(text, "data", BINDING, [ANY] * len(place))
    assert back == place
    assert list(map(repr, back)) == list(map(repr, place))


def test_an_instant_of_another_zone_comes_back_in_utc() -> None:
    """The instant is kept, not the zone."""
    moment = datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=5)))
    (back,) = decode_cursor(encode_cursor("data", {}, [moment]), "data", {}, (datetime,))
    assert back == moment
    assert back.tzinfo is UTC


@given(st.data(), st.lists(VALUES, min_size=1, max_size=2))
def test_any_single_changed_character_is_refused(data: st.DataObject, place: list[PlaceValue]) -> None:
    """No character can be another one, added or left out, the last one (with its unused bits) included."""
    text = encode_cursor("data", BINDING, place)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda char: char != text[at]))
    shape = (ANY,) * len(place)
    assert refused(text[:at] + other + text[at + 1 :], shape=shape)
    assert refused(text[:at] + other + text[at:], shape=shape)
    assert refused(text[:at] + text[at + 1 :], shape=shape)


def test_every_other_last_character_is_refused() -> None:
    """Base64 decoders pass over the unused bits of the last character; here they count."""
    text = encode_cursor("data", BINDING, [1])
    assert all(refused(text[:-1] + char) for char in ALPHABET if char != text[-1])


@pytest.mark.parametrize("binding", [{"source": "other", "sort": "value"}, {"sort": "value"}, {**BINDING, "q": "x"}])
def test_a_cursor_holds_for_its_filters_alone(binding: dict[str, Any]) -> None:
    """One made for other filters, fewer or more of them is refused."""
    assert refused(encode_cursor("data", BINDING, [1]), binding)


def test_a_cursor_of_another_list_is_refused() -> None:
    """A cursor of /runs is none of /data."""
    assert refused(encode_cursor("runs", BINDING, [1]))


def test_equal_bindings_are_one() -> None:
    """Parameters that are not given do not count, nor does the way a number is written, nor their order."""
    text = encode_cursor("data", {"low": Decimal("1.0"), "q": None, "sort": "value"}, [7])
    assert decode_cursor(text, "data", {"sort": "value", "low": Decimal("1.00")}) == [7]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "x",
        "AAAA",
        "é",
        "\0",
        "a" * 5000,
        "../../etc/passwd",
        "eyJhIjoxfQ",
        encode_cursor("data", {}, [1])[:20],
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Texts of any kind are refused as a bad parameter, never as an error of the server."""
    assert refused(text)


@pytest.mark.parametrize(
    "value",
    [
        True,
        1.5,
        2**63,
        [1],
        {"d": "NaN"},
        {"d": "Infinity"},
        {"d": "1E+999999"},
        {"d": "x"},
        {"t": "2026-13-01"},
        {"t": "0001-01-01T00:00:00+23:00"},
        {"t": 5},
        {"x": "1"},
    ],
)
def test_a_made_up_place_is_refused(value: Any) -> None:
    """A caller who computes the checksum himself still cannot bring in what no record has."""
    _, kind, bound = json.loads(base64.urlsafe_b64decode(_padded(encode_cursor("data", BINDING, [])))[9:])
    assert decode_cursor(forged([1, kind, bound, 5]), "data", BINDING) == [5]
    assert refused(forged([1, kind, bound, value]))


@pytest.mark.parametrize("body", [{}, [], [1], [2, "data", "x", 1], "text", None, 7])
def test_a_made_up_body_is_refused(body: Any) -> None:
    """Another version, or a body of another form."""
    assert refused(forged(body))


@pytest.mark.parametrize("place", [[], ["text"], [None], [1, 2]])
def test_a_place_of_another_shape_is_refused(place: list[PlaceValue]) -> None:
    """A list that goes by ids takes one id."""
    assert refused(encode_cursor("data", BINDING, place), shape=(int,))


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
