"""Places inside stored payloads, and cursors that are no JSON object: understood, or refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cursors import JSON, OBJECTS, edited
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.errors import CheckpointError
from kasparro_core.model import UNREADABLE_KEY, FetchFacts, Validator, cursor_of
from kasparro_core.services.position import SlicePosition, held_payload, shown_cursor, slice_position

PLACE = SlicePosition(
    raw_id=3,
    offset=10_000,
    after={"page": 2},
    fetch=FetchFacts(datetime(2026, 1, 1, tzinfo=UTC), url="https://x.example/\udc80", status=200),
    validators=[Validator("h", etag='"\udcff"', item_count=12_000)],
)


def test_a_place_comes_back_as_it_was() -> None:
    """Also with texts that are not clean: upstreams send such headers, and they come back from JSON as they went in."""
    stored = json.loads(json.dumps(PLACE.to_cursor()))
    assert slice_position(stored, "s", "p") == PLACE
    assert held_payload(stored) == 3


@given(cursor=OBJECTS | edited([dict(PLACE.to_cursor())]))
def test_any_object_is_the_sources_own_or_a_place_or_refused(cursor: dict[str, Any]) -> None:
    """Whatever stands in a checkpoint: keys with `$` are the core's, and are exactly what it writes or an error that
    names source and partition."""
    try:
        position = slice_position(cursor, "coins", "a.csv")
    except CheckpointError as error:
        assert "source 'coins', partition 'a.csv'" in error.message
        assert "state reset coins" in str(error.hint)
        assert held_payload(cursor) is None
        return
    if position is None:
        assert not any(key.startswith("$") for key in cursor)
    else:
        assert slice_position(position.to_cursor(), "coins", "a.csv") == position


@given(text=st.text(max_size=40) | st.binary(max_size=40) | JSON.map(json.dumps))
def test_any_stored_text_is_a_cursor_or_told_as_unreadable(text: str | bytes) -> None:
    """What is a JSON object is the cursor; anything else can still be shown, and no source goes on from it."""
    cursor = cursor_of(text)
    assert isinstance(json.loads(json.dumps(cursor, allow_nan=False)), dict)
    if UNREADABLE_KEY in cursor:
        with pytest.raises(CheckpointError, match="expected a JSON object"):
            slice_position(cursor, "s", "")


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "7", "{", "not JSON", '{"a": NaN}', '{"a": 1e400}', b'{"a": "\xff"}', "[" * 100_000]
)
def test_no_object_is_unreadable(text: str | bytes) -> None:
    """Each kind of text that is no JSON object."""
    assert list(cursor_of(text)) == [UNREADABLE_KEY]


def test_a_long_cursor_is_shortened_in_messages() -> None:
    """A message shows the beginning of a position, on one line."""
    said = shown_cursor({"token": "x" * 5000, "line": "a\nb"})
    assert len(said) == 201
    assert shown_cursor({UNREADABLE_KEY: "a\nb\x1b[31m"}) == "a b [31m"
