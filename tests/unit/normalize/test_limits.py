"""Limits: what no index of a database can hold is told exactly, and keeps nothing else out."""

from __future__ import annotations

import pytest

from kasparro_core import RecordMapping, normalize
from kasparro_core.normalize.articles import ARTICLE_RULES

ARTICLE = RecordMapping(source="s", kind="article", **ARTICLE_RULES.model_dump(exclude_unset=True))
ONE = RecordMapping(source="s", key="id", attributes={})
TWO = RecordMapping(source="s", key=["id", "n"], attributes={})


@pytest.mark.parametrize(
    ("mapping", "fits", "too_long"),
    [
        (ONE, {"id": "ä" * 1000}, {"id": "ä" * 1000 + "x"}),
        (ONE, {"id": "x" * 2000}, {"id": "😀" * 501}),
        (TWO, {"id": "x" * 1000, "n": "y" * 993}, {"id": "x" * 1000, "n": "y" * 994}),
        (ARTICLE, {"id": "x" * 2000}, {"id": "x" * 2001, "link": "https://x.org"}),
        (ARTICLE, {"link": "https://x.org"}, {"link": "https://x.org/" + "x" * 2000}),
    ],
)
def test_a_key_has_at_most_2000_bytes(mapping, fits, too_long):
    """One byte more is a rejection of that item alone, which names the field and has no key itself."""
    result = normalize([fits, too_long, fits], mapping)
    assert result.indexes == [0, 2]
    (refused,) = result.rejections
    assert (refused.code, refused.key, refused.index) == ("key_too_long", None, 1)
    assert refused.path in too_long
    assert len(refused.message) < 200


@pytest.mark.parametrize("value", ["x" * 2001, "a\0", [1], "\ud800"])
def test_a_bad_external_id_rejects_its_item(value):
    """An external id that cannot be one keeps the item out, under its key; an absent one does not."""
    mapping = RecordMapping(source="s", key="id", external_id="ext", attributes={"external_id": "ext"})
    result = normalize([{"id": 1, "ext": value}, {"id": 2, "ext": None}, {"id": 3}], mapping)
    assert [record.key for record in result.records] == ["2", "3"]
    (refused,) = result.rejections
    assert (refused.path, refused.key, refused.is_note) == ("ext", "1", False)
    assert refused.code in {"text_too_long", "text_invalid"}


def test_a_long_symbol_is_a_bad_value():
    """It becomes null with a note, or rejects the item where it is required; 200 characters of any script fit."""
    mapping = RecordMapping(source="s", key="id", symbol="sym", attributes={})
    rows = [{"id": 1, "sym": "😀" * 200}, {"id": 2, "sym": "x" * 801}]
    result = normalize(rows, mapping)
    assert [record.symbol for record in result.records] == ["😀" * 200, None]
    assert [(note.code, note.path) for note in result.notes] == [("text_too_long", "sym")]
    strict = normalize(rows, mapping.model_copy(update={"required": ["symbol"]}))
    assert [(refused.code, refused.index) for refused in strict.rejections] == [("text_too_long", 1)]


@pytest.mark.parametrize("name", ["x" * 5000, "\ud800" * 5000, "x" * 5000 + "\0"])
def test_the_path_of_a_note_is_short(name):
    """Field names come from outside: a note tells at most 500 characters of one."""
    result = normalize([{"ok": 1, name: float("nan")}], RecordMapping(source="s"))
    assert len(result.records) == 1
    for note in result.notes:
        assert len(note.path) == 500
        assert note.path.endswith("…")
