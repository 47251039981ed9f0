"""The configuration of CSV sources: what is refused, and what a change of it means for what was read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kasparro_adapters.files import CsvSourceConfig


@pytest.mark.parametrize(
    "options",
    [
        {"path": ""},
        {"path": "s3://bucket/prices.csv"},
        {"delimiter": ""},
        {"delimiter": "||"},
        {"delimiter": "§"},
        {"delimiter": "\n"},
        {"quote": "''"},
        {"quote": " "},
        {"encoding": "no-such-encoding"},
        {"encoding": "cp037"},
        {"header": "maybe"},
        {"decimal": ";"},
        {"batch_rows": 0},
        {"skip_lines": -1},
        {"seperator": ";"},
    ],
)
def test_wrong_values_are_refused_by_name(options: dict[str, Any]) -> None:
    """Each fault names its key."""
    with pytest.raises(ValidationError) as caught:
        CsvSourceConfig(**{"path": "prices.csv", **options})
    assert {str(error["loc"][0]) for error in caught.value.errors()} == set(options)


def test_auto_header_and_no_quotes_are_declarations() -> None:
    """`auto` means: find out; an empty quote means: there are none."""
    rules = CsvSourceConfig(path="f.csv", header="auto", quote="", columns=["a"]).reading_rules()
    assert (rules.header, rules.quote, rules.columns) == (None, "", ("a",))
    assert CsvSourceConfig(path="f.csv", header=False).reading_rules().header is False


def test_the_decimal_mark_is_the_default_of_the_mapping() -> None:
    """The key of the source serves the whole mapping, unless the mapping says otherwise."""
    mapping: Any = {"key": "date", "value": "close"}
    assert CsvSourceConfig(path="f.csv", mapping=mapping).record_mapping("x").decimal == "."
    assert CsvSourceConfig(path="f.csv", decimal=",").record_mapping("x").decimal == ","
    declared = CsvSourceConfig(path="f.csv", decimal=",", mapping=mapping).record_mapping("x")
    assert (declared.decimal, declared.keys, declared.source) == (",", (("date",),), "x")
    own = CsvSourceConfig(path="f.csv", decimal=",", mapping=mapping | {"decimal": "."}).record_mapping("x")
    assert own.decimal == "."


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ";"},
        {"quote": ""},
        {"encoding": "cp1252"},
        {"header": False},
        {"columns": ["a"]},
        {"decimal": ","},
        {"skip_lines": 1},
        {"member": "a.csv"},
        {"kind": "candle"},
        {"mapping": {"key": "a"}},
        {"drift": "discard_row"},
    ],
)
def test_rules_that_change_the_records_change_the_hash(options: dict[str, Any]) -> None:
    """What is read differently has to be read again; where it lies and how fast it is read does not matter."""
    plain = CsvSourceConfig(path="f.csv").rules_hash("x")
    assert CsvSourceConfig(path="f.csv", **options).rules_hash("x") != plain
    assert CsvSourceConfig(path="g.csv", batch_rows=7, schedule="every 5m").rules_hash("x") == plain
