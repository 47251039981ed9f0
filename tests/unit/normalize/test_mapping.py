"""The mapping language: what it takes, what it refuses, and how."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from kasparro_core import FieldRule, MappingRules, RecordMapping, UrlText, compile_mapping, normalize, register_kind
from kasparro_core.normalize.kinds import known_kinds
from kasparro_core.normalize.paths import first_of, getter, steps


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("price", ("price",)),
        ("quotes.USD.price", ("quotes", "USD", "price")),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("a[-1]", ("a", -1)),
        ("[0][1]", (0, 1)),
        ("Vol.", ("Vol.",)),
        ("price(USD)", ("price(USD)",)),
        ("Change %", ("Change %",)),
        ("a..b", ("a..b",)),
        ("a[x]", ("a[x]",)),
    ],
)
def test_steps(path, expected):
    """Names and indexes; what is no well-formed path is a literal name."""
    assert steps(path) == expected


def test_getters_find_literal_names_first():
    """A header that looks like a path is found as it stands; then the steps are walked; absence is None."""
    item = {"a.b": 1, "a": {"b": 2, "c": [{"d": 0}, "x"]}, "Vol.": 3, "s": "text"}
    assert getter("a.b")(item) == 1
    assert getter("a.c[0].d")(item) == 0
    assert getter("a.c[-1]")(item) == "x"
    assert getter("Vol.")(item) == 3
    for absent in ("a.x", "a.c[2]", "a.c[-3]", "a.c.d", "s[0]", "s.x", "b", "a.b.c", "[0]"):
        assert getter(absent)(item) is None
    assert first_of(["none", "blank", "s"])({**item, "blank": " "}) == "text"
    assert first_of(["dash", "s"], frozenset("-"))({**item, "dash": "-"}) == "text"


json_like = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc."), inner, max_size=3),
)


@given(st.text(alphabet="ab.[]0-1 ", min_size=1, max_size=12), st.dictionaries(st.sampled_from("abc"), json_like))
def test_getters_are_total(path, item):
    """No path raises on any item."""
    getter(path)(item)


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ({"vlaue": "x"}, "vlaue"),
        ({"value": {"field": "x", "fromat": "%Y"}}, "fromat"),
        ({"value": 5}, "value"),
        ({"value": {"field": "x", "type": "number"}}, "type"),
        ({"value": {}}, "exactly one"),
        ({"value": {"field": "x", "const": 1}}, "exactly one"),
        ({"value": {"field": []}}, "exactly one"),
        ({"value": ""}, "value"),
        ({"key": []}, "key"),
        ({"decimal": ";"}, "decimal"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"occurred_at": {"field": "d", "timezone": "Nowhere"}}, "Nowhere"),
        ({"occurred_at": {"field": "d", "format": "%Q"}}, "%Q"),
        ({"occurred_at": {"field": "d", "format": "%Y-%m-%d", "unit": "s"}}, "declare one"),
        ({"occurred_at": {"field": "d", "unit": "minutes"}}, "unit"),
        ({"attributes": ["x"]}, "attributes"),
    ],
)
def test_wrong_rules_are_told(rules, where):
    """A mistyped or senseless rule is an error that names it."""
    with pytest.raises(ValidationError) as caught:
        MappingRules(**rules)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"kind": "candel"}, "unknown kind 'candel'; known are article, candle, item, quote"),
        ({"value": {"field": "x", "type": "text"}}, "`value` is always of type decimal"),
        ({"title": {"field": "x", "unit": "s"}}, "`title` is of type text"),
        ({"title": {"field": "x", "decimal": ","}}, "`title` is of type text"),
        ({"value": {"const": "free"}}, "`const` of `value`"),
        ({"value": {"field": "x", "default": "free"}}, "`default` of `value`"),
        ({"required": ["value"], "attributes": {}}, "`required` names `value`"),
        ({"kind": "quote", "attributes": {"rank": {"field": "r", "type": "text"}}}, "declares attribute `rank`"),
    ],
)
def test_rules_that_contradict_one_another_are_told(rules, sentence):
    """What only the whole mapping shows to be wrong is an error when it is compiled."""
    with pytest.raises(ValueError, match=r"`|kind") as caught:
        compile_mapping(RecordMapping(**{"source": "s", "key": "id", **rules}))
    assert sentence in str(caught.value)


def test_rules_are_frozen_and_survive_dumping():
    """Rules cannot be changed, and what was set can be dumped and read again."""
    rules = MappingRules(key=["a"], value=FieldRule(field=["x", "y"]), attributes={"b": {"const": Decimal("1.5")}})
    with pytest.raises(ValidationError):
        rules.key = "b"
    assert MappingRules(**rules.model_dump(exclude_unset=True)) == rules
    assert RecordMapping(source="s", **rules.model_dump(exclude_unset=True)).kind == "item"


@pytest.mark.parametrize("const", ["1", True, 1, Decimal("1.50"), "true", 10**30])
def test_constants_keep_their_type(const):
    """A constant is what it was written as: 1, "1" and true are three things."""
    kept = FieldRule(const=const).const
    assert kept == const
    assert type(kept) is type(const)
    assert FieldRule(const=0.1).const == Decimal("0.1")


class TradeAttributes(BaseModel):
    """A user's own kind, with every sort of annotation."""

    side: Literal["buy", "sell"]
    amount: Annotated[Decimal, Field(gt=0)]
    fee: Decimal = Decimal("0.25")
    maker: bool | None = None
    page: UrlText | None = None
    at: datetime | None = None
    tags: list[str] = []
    route: list[int] | None = None
    detail: dict[str, Any] | None = None
    deadline: Annotated[datetime, Field(gt=datetime(2020, 1, 1))] | None = None


register_kind("test_trade", TradeAttributes)


def trade(row, **more):
    """One row as a trade whose attributes have the names of its fields."""
    names = {"side", "amount", *row} - {"id"}
    mapping = RecordMapping(source="t", kind="test_trade", key="id", attributes={name: name for name in names}, **more)
    return normalize([row], mapping)


def test_a_declared_kind_coerces_its_attributes():
    """Annotations become coercions: decimals, times, lists, URLs; what is not declared passes through."""
    row = {
        "id": 1, "side": "buy", "amount": "1,000.50", "fee": None, "maker": "yes", "page": "https://x.org/",
        "at": "2024-01-31", "tags": ["a", None, 5], "route": ["1", 2], "detail": {"x": 0.5}, "other": "1.0",
    }  # fmt: skip
    result = trade(row)
    assert result.notes == []
    assert result.records[0].attributes == {
        "amount": Decimal("1000.50"), "at": "2024-01-31T00:00:00Z", "detail": {"x": Decimal("0.5")},
        "fee": Decimal("0.25"), "maker": True, "other": "1.0", "page": "https://x.org/", "route": [1, 2],
        "side": "buy", "tags": ["a", "5"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"side": "hold"}, "attribute_invalid", "side"),
        ({"side": None}, "required_missing", "side"),
        ({"amount": "-1"}, "attribute_invalid", "amount"),
        ({"amount": "x"}, "decimal_invalid", "amount"),
    ],
)
def test_required_attributes_keep_an_item_out(change, code, path):
    """A bad or absent value where the model demands one rejects the item."""
    records, rejections = trade({"id": 1, "side": "buy", "amount": 1, **change})
    assert records == []
    assert [(each.code, each.path) for each in rejections] == [(code, path)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"page": "ftp://x"}, "url_invalid"),
        ({"tags": "a,b"}, "list_invalid"),
        ({"route": [1, "x"]}, "integer_invalid"),
        ({"detail": 5}, "attribute_invalid"),
        ({"maker": "maybe"}, "boolean_invalid"),
        ({"at": "03/04/2024"}, "timestamp_ambiguous"),
    ],
)
def test_bad_optional_attributes_are_noted(change, code):
    """Elsewhere a bad value becomes null, with one note."""
    result = trade({"id": 1, "side": "buy", "amount": 1, **change})
    assert [note.code for note in result.notes] == [code]
    assert result.records[0].attributes[next(iter(change))] is None


def test_a_kind_demands_its_required_attributes():
    """A mapping that leaves out what the model requires cannot work, and says so."""
    with pytest.raises(ValueError, match="requires the attribute `amount`"):
        compile_mapping(RecordMapping(source="t", kind="test_trade", key="id", attributes={"side": "s"}))


def test_a_kind_has_one_declaration():
    """Registering the same model again is nothing; another model under the name is an error, as is a bad name."""
    register_kind("test_trade", TradeAttributes)
    with pytest.raises(ValueError, match="declared already, by TradeAttributes"):
        register_kind("test_trade", FieldRule)
    with pytest.raises(ValueError, match="cannot name a kind"):
        register_kind("not a name", TradeAttributes)
    assert known_kinds()["test_trade"] is TradeAttributes
