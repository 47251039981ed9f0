"""Fixed hashes: what is stored must go on meaning the same, so these change by decision, never by accident."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType

import pytest

from kasparro_core import RecordMapping, canonical_json, normalize, prepare
from kasparro_core.normalize.articles import ARTICLE_RULES
from kasparro_core.normalize.hashing import content_hash

QUOTE = RecordMapping(
    source="s", kind="quote", key="id", external_id="id", title="name", symbol="symbol", value="price", url="link",
    currency={"const": "usd"}, occurred_at="at", null=["n/a"],
    attributes={"rank": "rank", "ath": "ath", "ath_date": "at", "image": "link", "extra%": "extra", "ä": "a.b[0]"},
)  # fmt: skip
CANDLE = RecordMapping(
    source="s", kind="candle", key=["symbol", "unix"], value="close", occurred_at={"field": "unix", "unit": "ms"},
    attributes={"open": {"field": "open", "decimal": ","}, "trades": {"field": "n", "default": 0}, "volume": ["v"][0]},
)  # fmt: skip
ARTICLE = RecordMapping(source="s", kind="article", **ARTICLE_RULES.model_dump(exclude_unset=True))
ITEM = RecordMapping(source="s")

QUOTE_ROW = {
    "id": "btc", "name": " Bitcoin ", "symbol": "btc", "price": Decimal("7E-6"), "link": "https://x.org/a b",
    "at": "2024-01-31T10:00:00.120Z", "rank": 1, "ath": 1e15, "extra": {"b": [1.0, "ü\n"], "a": None}, "a": {"b": [2]},
}  # fmt: skip
CANDLE_ROW = {"symbol": "btc", "unix": "1700000000123", "close": "-0.00", "open": "1.234,50", "n": "", "v": "10.10"}
ARTICLE_ROW = {
    "id": " g ", "link": "https://x.org/1", "title": "T", "summary": "<p>s</p>",
    "published": "Thu, 01 Jan 2004 19:48 GMT", "tags": ["a"],
}  # fmt: skip
AWKWARD = (
    None, "", " ", "n/a", True, False, 0, 1, -5, 10**90, 1_700_000_000, 1_700_000_000_000, 0.1, 7e-06, float("nan"),
    Decimal("1.500"), Decimal("-0.0"), Decimal("1E+3"), Decimal("0E-9"), Decimal("NaN"), "0", "-0", "007", "1.50", "+1",
    ".5", "5.", "1e+15", "7E-06", "1,234.5", "1,23", "1_000", "١", "1" * 90, "9" * 1001, "1E1000", "1E1001", "NaN123",
    "2024-01-31T10:00:00Z", "2024-02-30T10:00:00Z", "2024-01-31T10:00:00.000Z", "2024-01-31T10:00:00.000001+02:00",
    "03/04/2024", "https://x.org", "HTTP://x.org/ö", "x\0", "\ud800", "ß", "😀", [], [1, "2"], {"a": {"b": [1.5]}},
)  # fmt: skip


def result_of(result):
    """All that normalizing yields but the wording of messages."""
    prepared = [
        [
            *each.record[:6],
            str(each.record.value),
            *each.record[7:],
            each.content_hash,
            each.attributes_json,
            each.raw_index,
        ]
        for each in prepare(result)
    ]
    out = [
        [each.stage, each.code, each.path, each.payload, each.index, each.key]
        for each in (*result.rejections, *result.notes)
    ]
    return canonical_json([prepared, out])


@pytest.mark.parametrize(
    ("row", "mapping", "expected"),
    [
        (QUOTE_ROW, QUOTE, "664a5fa06797c6c54ea87fbe9f1987ec"),
        (CANDLE_ROW, CANDLE, "559a3d6f2ee0e9f8973e0b9703b3591d"),
        (ARTICLE_ROW, ARTICLE, "3b8c810a20d74a93c974a6a6a3d9a556"),
        (QUOTE_ROW, ITEM, "fc8576b376571032e10554d8f9b71598"),
        ({}, ITEM, "b2e25e3f9b42d18e0dfdb79b31e4f3fc"),
    ],
    ids=["quote", "candle", "article", "item", "nothing"],
)  # fmt: skip
def test_the_hash_of_a_record_is_for_ever(row, mapping, expected):
    """The content hash of one record of each kind, as databases in the field hold it."""
    (prepared,) = prepare(normalize([row], mapping))
    assert prepared.content_hash == expected


@pytest.mark.parametrize(
    ("row", "mapping", "expected"),
    [
        (QUOTE_ROW, QUOTE, "7f502ffeb5a92cc93b2fdd9faef9e3c2"),
        (CANDLE_ROW, CANDLE, "795666f4405a2c589951cb2584ed76d4"),
        (ARTICLE_ROW, ARTICLE, "1a90ad539de0546237fce221df4ff79b"),
        (QUOTE_ROW, ITEM, "968d51c395397162c40b0e625eeba22f"),
    ],
    ids=["quote", "candle", "article", "item"],
)  # fmt: skip
def test_every_awkward_value_in_every_field(row, mapping, expected):
    """Records, texts, hashes, rejections and notes of each awkward value in each field, alone and in one batch."""
    rows = [{**row, field: value} for field in row for value in AWKWARD]
    batch = normalize(rows, mapping)
    assert content_hash(result_of(batch)) == expected
    together = dict(zip(batch.indexes, batch.records, strict=True))
    for index, item in enumerate(rows):
        (alone,) = normalize([item], mapping).records or [None]
        assert alone == together.get(index)


OPTIONS = RecordMapping(
    source="s", kind="quote", key="id", title={"field": ["name", "symbol"]}, value={"field": "price"},
    occurred_at={"field": "at", "unit": "ms"}, decimal=",", timezone="Europe/Berlin", null=["n/a", "0"],
    required=["rank"], attributes={"rank": {"field": "rank", "default": 7}, "ath_date": "at", "beta_value": "ath",
    "tall": {"field": "a.b[0]", "type": "boolean"}, "extra": "extra", "image": {"field": "link", "required": True}},
)  # fmt: skip


@pytest.mark.parametrize("mapping", [QUOTE, OPTIONS, ITEM, ITEM.model_copy(update={"null": ["0"], "required": ["id"]})])
def test_items_together_are_what_each_is_alone(mapping):
    """The short way of many and the long way of one (which any mapping but a dict takes) agree, digit by digit."""
    rows = [{**QUOTE_ROW, field: value} for field in QUOTE_ROW for value in AWKWARD]
    short, long = normalize(rows, mapping), normalize(map(MappingProxyType, rows), mapping)
    assert len(short.records) > len(short.rejections)
    assert repr(prepare(short)) == repr(prepare(long))
    assert repr(short.notes) == repr(long.notes)
    assert repr(short.rejections) == repr(long.rejections)
