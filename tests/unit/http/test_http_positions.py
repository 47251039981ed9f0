"""Cursors of HTTP sources: exactly understood, or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cursors import JSON, OBJECTS, edited
from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.http import HttpSource
from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.memory import remembered, rules_hash
from kasparro_adapters.http.paging import pager_of
from kasparro_adapters.http.walk import PositionReader
from kasparro_core.errors import CheckpointError
from kasparro_core.model import Validator

AT = "2026-01-01T00:00:00Z"
WALKS: dict[str, dict[str, Any]] = {
    "page": {"paginate": {"type": "page", "size": 3}},
    "offset": {"paginate": {"type": "offset", "size": 3}},
    "cursor": {"paginate": {"type": "cursor", "path": "next"}},
    "next_link": {"paginate": {"type": "next_link", "path": "next"}},
    "link_header": {"paginate": {"type": "link_header"}},
    "none": {},
    "instant": {"incremental": {"cursor": "at", "param": "since"}, "paginate": {"type": "page", "size": 3}},
    "epoch": {"incremental": {"cursor": "at", "param": "since", "unit": "s"}},
    "int": {"incremental": {"cursor": "n", "param": "since", "type": "int"}},
    "text": {"incremental": {"cursor": "n", "param": "since", "type": "text"}},
}
PLACES = {
    "page": {"at": 2},
    "offset": {"at": 6, "size": 2, "probe": True},
    "cursor": {"token": "t"},
    "next_link": {"url": "/items?page=2"},
    "link_header": {"url": "https://cdn.example/items?page=2"},
    "instant": {"at": 2},
}
MARKS = {"instant": AT, "epoch": AT, "int": 7, "text": "b"}


def config_of(kind: str) -> HttpSourceConfig:
    return HttpSourceConfig.model_validate({"type": "http", "url": "https://api.example/items", **WALKS[kind]})


def reader_of(kind: str) -> PositionReader:
    config = config_of(kind)
    return PositionReader("api", pager_of(config), rules_hash(config), config.incremental)


def cursors_of(kind: str) -> list[dict[str, Any]]:
    """What a source of this kind writes: after a walk, and inside one."""
    mark = {"mark": MARKS[kind], "of": f"{kind.replace('epoch', 'instant')} {_field(kind)}"} if kind in MARKS else {}
    found: list[dict[str, Any]] = [{"next": mark}, {"next": {}}]
    if kind in PLACES:
        high = MARKS.get(kind)
        walk = {"at": PLACES[kind], "started_at": AT, "rules": rules_hash(config_of(kind)), "pages": 2}
        found.append({"next": {}, "walk": {**walk, "asked": None, "high": high}})
        behind = {"behind": PLACES[kind], "read_at": AT}
        found.append({"next": mark, "walk": {**walk, **behind, "asked": high, "high": high}})
    return found


def _field(kind: str) -> str:
    return str(WALKS[kind]["incremental"]["cursor"])


@pytest.mark.parametrize("kind", WALKS)
def test_what_a_source_writes_is_understood(kind: str) -> None:
    """Each cursor that a walk of this kind leaves comes back as it was."""
    for cursor in cursors_of(kind):
        assert reader_of(kind).position(cursor).as_cursor() == cursor


@pytest.mark.parametrize("kind", WALKS)
@given(data=st.data())
def test_any_object_is_understood_or_refused(kind: str, data: st.DataObject) -> None:
    """No JSON object makes anything else than a position that says the same when it is written, or a CheckpointError;
    and no position makes a request that fails before it is sent."""
    cursor = data.draw(OBJECTS | edited(cursors_of(kind)))
    reader = reader_of(kind)
    try:
        position = reader.position(cursor)
    except CheckpointError as error:
        assert "source 'api', partition ''" in error.message
        assert "state reset api" in str(error.hint)
        return
    assert reader.position(position.as_cursor()).as_cursor() == position.as_cursor()
    config = config_of(kind)
    if position.walk is not None:
        assert isinstance(pager_of(config).params(position.walk.at), dict)
        position.walk.resumed(datetime.now(UTC), datetime.now(UTC) - datetime.now(UTC))
    if config.incremental is not None:
        config.incremental.params(position.mark)
        config.incremental.higher(position.mark, position.walk.high if position.walk else None)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("page", {"at": -1}),
        ("page", {"at": 0}),
        ("page", {"at": 2, "size": 0}),
        ("page", {"at": 2, "probe": "yes"}),
        ("page", {"token": "t"}),
        ("offset", {"at": -3}),
        ("offset", {"at": 2.0}),
        ("offset", {"at": True}),
        ("cursor", {"token": ""}),
        ("cursor", {"token": 7}),
        ("cursor", {"at": 2}),
        ("next_link", {"url": "javascript:alert(1)"}),
        ("next_link", {"url": ""}),
        ("link_header", {"url": None}),
        ("none", {"at": 2}),
    ],
)
def test_a_place_of_another_kind_is_refused(kind: str, place: dict[str, Any]) -> None:
    """A place that this paging never reaches names its member, and shows the position."""
    walk = {
        "at": place,
        "started_at": AT,
        "rules": rules_hash(config_of(kind)),
        "pages": 1,
        "asked": None,
        "high": None,
    }
    with pytest.raises(CheckpointError, match=r"`walk.at`.*\"pages\": 1"):
        reader_of(kind).position({"next": {}, "walk": walk})


def test_a_link_away_from_the_origin_is_never_followed_with_a_secret() -> None:
    """An address that was put into the position does not get the key of the source."""
    given = {"type": "http", "url": "https://api.example/items", "paginate": {"type": "next_link", "path": "next"}}
    config = HttpSourceConfig.model_validate({**given, "auth": {"type": "bearer", "token": "secret"}})
    reader = PositionReader("api", pager_of(config), rules_hash(config), None)
    walk = {"started_at": AT, "rules": rules_hash(config), "pages": 1, "asked": None, "high": None}
    with pytest.raises(CheckpointError):
        reader.position({"next": {}, "walk": {**walk, "at": {"url": "https://evil.example/items"}}})
    assert reader.position({"next": {}, "walk": {**walk, "at": {"url": "/items?page=2"}}}).walk is not None


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("instant", 7),
        ("instant", "yesterday"),
        ("instant", True),
        ("int", "7"),
        ("int", True),
        ("text", 7),
        ("text", " b"),
    ],
)
def test_a_mark_that_cannot_be_one_is_refused(kind: str, mark: Any) -> None:
    """A mark of the right field and the wrong kind is not asked from."""
    of = f"{kind} {_field(kind)}"
    with pytest.raises(CheckpointError, match=rf"`next.mark` is no mark of this source: expected one of type {kind}"):
        reader_of(kind).position({"next": {"mark": mark, "of": of}})


def test_a_mark_of_another_field_is_left_aside() -> None:
    """After `incremental` was changed the source is asked for everything, not from an instant of another field."""
    position = reader_of("instant").position({"next": {"mark": "2026-05-05T00:00:00Z", "of": "instant created_at"}})
    assert position.mark is None
    assert reader_of("int").position({"next": {"mark": "2026-05-05T00:00:00Z", "of": "instant at"}}).mark is None
    assert reader_of("none").position({"next": {"mark": 5, "of": "int n"}}).mark is None


def test_a_walk_of_other_rules_begins_anew() -> None:
    """A walk by offset is not carried on as one by page, whatever its place looks like; its mark is kept."""
    cursor = cursors_of("page")[-1]
    assert reader_of("offset").position(cursor).walk is None
    cursor = cursors_of("instant")[-1]
    changed = config_of("instant").model_copy(update={"records": "data"})
    position = PositionReader("api", pager_of(changed), rules_hash(changed), changed.incremental).position(cursor)
    assert (position.walk, position.mark) == (None, AT)


@given(following=st.text(max_size=12) | JSON.map(str) | st.sampled_from(['{"at": -1}', '{"at": 3}', "[", "[" * 5000]))
def test_a_damaged_memory_of_a_page_is_not_used(following: str) -> None:
    """A remembered next page that this paging does not know makes the request unconditional: no 304 leads astray."""
    known = remembered({"k": Validator("k", etag="e", next=following)}, "k", pager_of(config_of("page")))
    assert (known is not None) == (following == '{"at": 3}')


def test_only_the_whole_is_a_partition() -> None:
    """A position of a part cannot be brought in: the source would never read it."""
    source = HttpSource("api", config_of("page"), None, None)  # type: ignore[arg-type]  # it reads nothing
    source.check_position("", {"next": {}})
    with pytest.raises(CheckpointError, match=r"partition 'a\.csv'"):
        source.check_position("a.csv", {"next": {}})
    with pytest.raises(CheckpointError, match="`next` is missing"):
        source.check_position("", {"page": 3})
