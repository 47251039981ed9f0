"""`kasparro export`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

CONFIG = """
[sources.a]
type = "csv"
path = "a.csv"
kind = "candle"
mark_gone = true
[sources.a.mapping]
key = "id"
title = "title"
symbol = "symbol"
value = "value"
occurred_at = "at"
"""
ROWS = [
    ("1", "=cmd|' /C calc'!A0", "BTC", "-1.5", "2024-01-01"),
    ("2", "plain", "ETH", "2", "2024-01-02T12:00:00Z"),
    ("3", "@SUM(1)", "BTC", "0.10000000000000000001", "2024-01-03"),
]


@pytest.fixture
def loaded(kasparro: Any, folder: Path) -> Any:
    """Three records stand in the database."""
    (folder / "kasparro.toml").write_text(CONFIG, encoding="utf-8")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "title", "symbol", "value", "at"), *ROWS])
    assert kasparro("run").code == 0
    return kasparro


def test_csv_is_safe_for_spreadsheets(loaded: Any) -> None:
    """Texts that begin like a formula are led by an apostrophe, negative numbers are left alone."""
    rows = list(csv.DictReader(io.StringIO(loaded("export", "--format", "csv").out)))
    assert [row["title"] for row in rows] == ["'=cmd|' /C calc'!A0", "plain", "'@SUM(1)"]
    assert [row["value"] for row in rows] == ["-1.5", "2", "0.10000000000000000001"]


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ([], ["1", "2", "3"]),
        (["--symbol", "BTC"], ["1", "3"]),
        (["--q", "plain"], ["2"]),
        (["--kind", "quote"], []),
        (["--source", "a", "--limit", "2"], ["1", "2"]),
        (["--min-value", "0.1"], ["2", "3"]),
        (["--max-value", "-1.5"], ["1"]),
        (["--start-date", "2024-01-02"], ["2", "3"]),
        (["--end-date", "2024-01-02"], ["1", "2"]),
        (["--end-date", "2024-01-02T11:59:59+00:00"], ["1"]),
        (["--updated-since", "2099-01-01"], []),
    ],
)
def test_each_filter_chooses(loaded: Any, filters: list[str], keys: list[str]) -> None:
    """Every filter of the reference narrows the stream; a day as the end counts whole."""
    assert [json.loads(line)["key"] for line in loaded("export", *filters).out.splitlines()] == keys


def test_what_is_gone_can_be_told_from_the_rest(loaded: Any, folder: Path) -> None:
    """A row that the file does not hold any more: with --gone it alone, with --present all others, without both."""
    lines = (folder / "a.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "a.csv").write_text("".join([*lines[:2], *lines[3:]]), encoding="utf-8")
    assert loaded("run").code == 0
    for filters, keys in ((["--gone"], ["2"]), (["--present"], ["1", "3"]), ([], ["1", "2", "3"])):
        found = [json.loads(line) for line in loaded("export", *filters).out.splitlines()]
        assert [row["key"] for row in found] == keys
        assert {row["key"] for row in found if row["gone_at"]} == {"2"} & set(keys)


@pytest.mark.parametrize("filters", [["--min-value", "lots"], ["--start-date", "yesterday"], ["--max-value", "NaN"]])
def test_a_bad_filter_is_a_usage_error(loaded: Any, filters: list[str]) -> None:
    """A value that is no number or date is refused with exit code 2, before anything is printed."""
    result = loaded("export", *filters)
    assert (result.code, result.out) == (2, "")
