"""Mappings at work: records, keys, rejections and notes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core import MappingRules, RawRecord, RecordMapping, Stage, compile_mapping, normalize, prepare
from kasparro_core.normalize.articles import ARTICLE_RULES
from kasparro_core.normalize.canonical import canonical_json, parse_json

CANDLE = RecordMapping(
    source="prices",
    kind="candle",
    key=["symbol", "date"],
    external_id="symbol",
    symbol="symbol",
    currency={"const": "usd"},
    occurred_at={"field": "date", "format": "%Y-%m-%d"},
    value="close",
    attributes={"open": "open", "volume": {"field": "Vol.", "null": ["-"]}, "note": "note"},
)
ROW = {"symbol": " btc ", "date": "2024-01-02", "close": "1,234.50", "open": "7e-06", "Vol.": "-", "note": "1.0"}
ARTICLE = RecordMapping(source="news", kind="article", **ARTICLE_RULES.model_dump(exclude_unset=True))

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=8)
json_like = st.recursive(
    scalars | st.sampled_from(["2024-01-02", "1.5", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
rows = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(ROW, json_like)) | st.dictionaries(st.text(max_size=3), json_like),
    max_size=5,
)


def test_a_row_becomes_a_record():
    """Every target is filled exactly, and what is missing is null."""
    records, rejections = normalize([ROW], CANDLE)
    assert rejections == []
    (record,) = records
    assert record.source == "prices"
    assert record.kind == "candle"
    assert record.key == '["btc","2024-01-02"]'
    assert record.external_id == "btc"
    assert record.symbol == "BTC"
    assert record.currency == "USD"
    assert str(record.value) == "1234.50"
    assert record.occurred_at == datetime(2024, 1, 2, tzinfo=UTC)
    assert record.title is None
    assert record.attributes == {"note": "1.0", "open": Decimal("0.000007"), "volume": None}


def test_a_bad_value_becomes_null_with_one_note():
    """The item stays; the note tells code, source path, and the value alone."""
    result = normalize([{**ROW, "close": "1.057.030.998.551.800"}], CANDLE)
    assert result.records[0].value is None
    (note,) = result.notes
    assert note.is_note
    assert (note.code, note.path, note.payload) == ("decimal_invalid", "close", "1.057.030.998.551.800")
    assert (note.index, note.key) == (0, '["btc","2024-01-02"]')
    assert result.rejections == []


@pytest.mark.parametrize(
    ("row", "code", "path"),
    [
        ({**ROW, "symbol": " "}, "key_missing", "symbol"),
        ({**ROW, "date": None}, "key_missing", "date"),
        ({"date": "2024-01-02"}, "key_missing", "symbol"),
        ({**ROW, "symbol": True}, "key_invalid", "symbol"),
        ({**ROW, "symbol": ["btc"]}, "key_invalid", "symbol"),
        ({**ROW, "symbol": "a\0"}, "text_invalid", "symbol"),
        ({**ROW, "symbol": "\ud800"}, "text_invalid", "symbol"),
        ("no object", "item_invalid", ""),
        (None, "item_invalid", ""),
        ([1, 2], "item_invalid", ""),
    ],
)
def test_an_item_without_key_is_rejected(row, code, path):
    """What has no key, or is no object, is rejected whole, with its payload and place."""
    result = normalize([ROW, row], CANDLE)
    assert result.indexes == [0]
    (rejection,) = result.rejections
    assert (rejection.stage, rejection.code, rejection.path, rejection.index) == (Stage.NORMALIZE, code, path, 1)
    canonical_json(rejection.payload).encode()


def test_required_fields_reject_the_item():
    """Absent, declared null, or bad: a required field keeps the item out and its key is known."""
    mapping = CANDLE.model_copy(update={"required": ["value", "volume"]})
    bad = [{**ROW, "Vol.": 1, "close": ""}, {**ROW, "Vol.": 1, "close": "x"}, ROW, {**ROW, "Vol.": 0}]
    result = normalize(bad, mapping)
    assert [(each.code, each.path, each.key) for each in result.rejections] == [
        ("required_missing", "close", '["btc","2024-01-02"]'),
        ("decimal_invalid", "close", '["btc","2024-01-02"]'),
        ("required_missing", "Vol.", '["btc","2024-01-02"]'),
    ]
    assert result.indexes == [3]
    assert result.notes == []


@pytest.mark.parametrize(
    ("key", "row", "expected"),
    [
        ("id", {"id": " a "}, "a"),
        ("id", {"id": 5}, "5"),
        ("id", {"id": Decimal("1.50")}, "1.5"),
        ("id", {"id": 1.0}, "1"),
        (["id"], {"id": "a"}, "a"),
        (["id", "n"], {"id": 'a"b', "n": 1}, '["a\\"b","1"]'),
        ("a.b[0]", {"a": {"b": ["x"]}}, "x"),
        ("a.b", {"a.b": "dotted"}, "dotted"),
    ],
)
def test_keys(key, row, expected):
    """One field is its trimmed text, several are a JSON array of theirs."""
    assert normalize([row], RecordMapping(source="s", key=key)).records[0].key == expected


def test_items_without_declared_key_are_keyed_by_their_content():
    """The same content has the same key, in any order of fields and any writing of numbers; other content another."""
    mapping = RecordMapping(source="s")
    same = [{"a": 1, "b": "x"}, {"b": "x", "a": 1.0}, {"b": "x", "a": Decimal("1.00")}]
    keys = {record.key for record in normalize(same, mapping).records}
    assert len(keys) == 1
    assert normalize([{"a": "1", "b": "x"}], mapping).records[0].key not in keys


def test_kind_item_takes_everything_as_it_is():
    """Without mapping each field passes through: text stays text, numbers stay exact, null stays null."""
    row = {"n": "1.0", "blank": " ", "none": None, "deep": {"x": [0.1]}, "Vol.": 2}
    assert normalize([row], RecordMapping(source="s")).records[0].attributes == {
        **row, "deep": {"x": [Decimal("0.1")]}
    }  # fmt: skip
    assert normalize([row], RecordMapping(source="s", attributes={})).records[0].attributes == {}
    assert normalize([row], RecordMapping(source="s", null=["1.0"])).records[0].attributes["n"] is None


def test_kind_item_notes_what_no_store_holds():
    """A value or a name that cannot be stored is noted; the rest of the item stays."""
    result = normalize([{"a": "x\0", "\ud800": 1, "b": "ok", 5: "five", "c": float("nan")}], RecordMapping(source="s"))
    assert result.records[0].attributes == {"a": None, "b": "ok", "c": None}
    assert sorted(note.code for note in result.notes) == [
        "decimal_invalid", "name_invalid", "name_invalid", "text_invalid"
    ]  # fmt: skip


def test_kind_item_can_require_fields():
    """`required` names source fields where all of them pass through."""
    result = normalize([{"a": "x"}, {"a": " "}, {}], RecordMapping(source="s", required=["a"]))
    assert result.indexes == [0]
    assert [each.code for each in result.rejections] == ["required_missing", "required_missing"]


def test_consts_defaults_and_alternatives():
    """A constant needs no field, a default stands in for null but not for a bad value, the first field that holds
    something wins."""
    mapping = RecordMapping(
        source="s",
        kind="quote",
        key="id",
        currency={"const": "eur"},
        value={"field": ["price", "last"], "default": 0, "null": ["n/a"]},
        attributes={"rank": {"field": "r", "default": -1}, "venue": {"const": "x"}},
    )
    result = normalize(
        [{"id": 1, "price": "n/a", "last": "5"}, {"id": 2}, {"id": 3, "price": "bad", "last": "5"}], mapping
    )
    assert [record.value for record in result.records] == [5, 0, None]
    assert [record.currency for record in result.records] == ["EUR"] * 3
    assert [record.attributes for record in result.records] == [{"rank": -1, "venue": "x"}] * 3
    assert [(note.path, note.payload) for note in result.notes] == [("price", "bad")]


def test_mapping_wide_options():
    """Decimal mark, time zone and nulls hold for every field that does not say otherwise."""
    mapping = RecordMapping(
        source="s",
        kind="candle",
        key="Data",
        decimal=",",
        timezone="America/Sao_Paulo",
        null=["-"],
        occurred_at={"field": "Data", "format": "%d.%m.%Y"},
        value="Último",
        attributes={"open": {"field": "Abertura", "decimal": "."}, "high": "Máxima"},
    )
    row = {"Data": "23.04.2022", "Último": "191.274", "Abertura": "191.274", "Máxima": "-"}
    (record,) = normalize([row], mapping).records
    assert record.value == 191274
    assert record.attributes == {"open": Decimal("191.274"), "high": None}
    assert record.occurred_at == datetime(2022, 4, 23, 3, tzinfo=UTC)


def test_an_attribute_may_be_called_like_a_column():
    """Columns and attributes are two name spaces, on the long way too."""
    mapping = RecordMapping(source="s", key="id", title="a", value="v", attributes={"title": "b", "value": "w"})
    (record,) = normalize([{"id": 1, "a": "A", "b": "B", "v": "x", "w": "W"}], mapping).records
    assert (record.title, record.value, record.attributes) == ("A", None, {"title": "B", "value": "W"})


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ({"id": " guid ", "link": "https://x/1"}, " guid "),
        ({"id": "", "link": "https://x/1"}, "https://x/1"),
        ({"id": None, "link": "mailto:a@b"}, "mailto:a@b"),
    ],
)
def test_articles_are_keyed_by_id_else_link(item, key):
    """The id is taken verbatim, the link stands in for it."""
    (record,) = normalize([item], ARTICLE).records
    assert record.key == record.external_id == key


def test_articles_without_id_and_link_are_keyed_by_their_content():
    """The key is the content hash, which a new date does not change, with or without notes."""
    items = [{"title": "T", "summary": "s"}, {"title": "T", "summary": "s", "published": "yesterday"}, {"title": "U"}]
    result = normalize(items, ARTICLE)
    one, two, three = (record.key for record in result.records)
    assert one == two != three
    assert [prepared.content_hash for prepared in prepare(result)] == [one, two, three]


def test_feed_items_become_articles():
    """Dates, tags and texts land where the kind declares them; one bad date is one note, not two."""
    item = {
        "id": "g", "link": "https://x/1", "title": " T ", "summary": "<p>s</p>", "content": None, "author": "A",
        "published": "Thu, 01 Jan 2004 19:48:21 GMT", "updated": "31 Feb 2004", "tags": ["a", "b"],
        "enclosures": [{"url": "https://x/1.mp3", "type": "audio/mpeg", "length": "5"}], "language": "en",
    }  # fmt: skip
    result = normalize([item, {**item, "published": "never"}], ARTICLE)
    first, second = result.records
    assert first.title == "T"
    assert first.url == "https://x/1"
    assert first.occurred_at == datetime(2004, 1, 1, 19, 48, 21, tzinfo=UTC)
    assert first.attributes["published"] == "2004-01-01T19:48:21Z"
    assert first.attributes["tags"] == ["a", "b"]
    assert first.attributes["enclosures"] == item["enclosures"]
    assert second.occurred_at is None
    assert [(note.index, note.path) for note in result.notes] == [(0, "updated"), (1, "published"), (1, "updated")]


def test_any_mapping_type_is_an_item():
    """Rows need not be dicts."""
    (record,) = normalize([MappingProxyType(ROW)], CANDLE).records
    assert record == normalize([ROW], CANDLE).records[0]


@given(rows)
def test_normalize_is_total(items):
    """Whatever the rows hold, each becomes a record or a rejection, and everything that comes out can be written."""
    for mapping in (CANDLE, ARTICLE, RecordMapping(source="s"), RecordMapping(source="s", key="symbol", attributes={})):
        result = normalize(items, mapping)
        assert sorted([*result.indexes, *(each.index for each in result.rejections)]) == list(range(len(items)))
        for prepared in prepare(result):
            prepared.attributes_json.encode()
            assert parse_json(prepared.attributes_json) == prepared.record.attributes
        for refused in (*result.rejections, *result.notes):
            canonical_json(refused.payload).encode()
            refused.message.encode()
            refused.path.encode()


@given(rows)
def test_batch_size_and_order_change_nothing(items):
    """Each row gives the same alone, in a batch, and in a batch turned round."""
    compiled = compile_mapping(CANDLE)
    batch = [RawRecord(index, item) for index, item in enumerate(items)]
    together = {prepared.raw_index: prepared for prepared in prepare(compiled.normalize(batch))}
    turned = {prepared.raw_index: prepared for prepared in prepare(compiled.normalize(batch[::-1]))}
    alone = {p.raw_index: p for each in batch for p in prepare(compiled.normalize([each]))}
    assert together == turned == alone


@given(rows)
def test_normalizing_twice_equals_once(items):
    """The attributes of a record, mapped again under their own names, are what they were."""
    again = RecordMapping(source="prices", kind="candle", key="k", attributes={n: n for n in CANDLE.attributes})
    for record in normalize(items, CANDLE).records:
        (second,) = normalize([{**record.attributes, "k": "k"}], again).records
        assert canonical_json(second.attributes) == canonical_json(record.attributes)


def test_the_short_and_the_long_way_agree():
    """A row with nothing to note is the same record beside a bad field as without it."""
    mapping = CANDLE.model_copy(update={"attributes": {**CANDLE.attributes, "low": "low"}})
    good, bad = normalize([{**ROW, "low": None}, {**ROW, "low": "x"}], mapping).records
    assert good == bad
    assert list(good.attributes) == sorted(good.attributes) == list(bad.attributes)


def test_no_mapping_is_confused_with_another():
    """Two mappings that differ in one option give two results, also when both were used before."""
    point, comma = MappingRules(value="v"), MappingRules(value="v", decimal=",")
    for _ in range(2):
        for rules, expected in ((point, Decimal("1.234")), (comma, Decimal(1234))):
            mapping = RecordMapping(source="s", **rules.model_dump(exclude_unset=True))
            assert normalize([{"v": "1.234"}], mapping).records[0].value == expected


def test_a_key_part_may_have_alternatives():
    """Where the first field is blank the next one stands in; an item without the field itself is rejected."""
    mapping = RecordMapping(source="coins", kind="quote", key=[["id", "name"]])
    result = normalize(
        [{"id": "btc", "name": "Bitcoin"}, {"id": "", "name": "Cresio"}, {"id": "", "name": " "}, {"name": "X"}],
        mapping,
    )
    assert [record.key for record in result.records] == ["btc", "Cresio"]
    assert [(refused.code, refused.path) for refused in result.rejections] == [("key_missing", "id")] * 2
