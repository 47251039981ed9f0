"""Records as lines of an export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kasparro_app.export import csv_header, csv_line, ndjson_line
from kasparro_app.views import RECORD_FIELDS, stored_record_view
from kasparro_core.model import Record, StoredRecord

INSTANT = datetime(2024, 1, 31, 10, 0, 0, 5, tzinfo=UTC)


def stored(**fields: Any) -> StoredRecord:
    record = Record(source="s", key="k", kind="item", **fields)
    return StoredRecord(1, record, "h", 2, 3, 4, INSTANT, INSTANT, 1, 7)


def cells(line: str) -> dict[str, str]:
    (row,) = csv.reader(io.StringIO(line, newline=""))
    return dict(zip(RECORD_FIELDS, row, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")'),
        *("\tx", "\rx", "\nx", 'DDE ("cmd";"/C calc";"!A0")A0', " dde(x)"),
        *(" =x", "\u00a0 =x", "\u200b=x", "\ufeff=x"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x"),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_is_led_by_an_apostrophe(text: str) -> None:
    """No text cell of a CSV export makes it a formula, not behind blanks or in full width either."""
    assert cells(csv_line(stored(title=text)))["title"] == f"'{text}"


def test_a_public_list_of_formulas_is_neutralized(shared_data: Callable[..., Path]) -> None:
    """Each cell of the list, in every text column and behind every kind of blank, is led by an apostrophe."""
    listed = shared_data("corpora", "security", "csv_formula.jsonl").read_text("utf-8").splitlines()
    for text in [f"{blank}{json.loads(line)['cell']}" for line in listed for blank in ("", " ", "\t", "\r\n")]:
        row = cells(csv_line(stored(title=text, symbol=text, external_id=text, url=text, currency=text)))
        assert {row[name] for name in ("title", "symbol", "external_id", "url", "currency")} == {f"'{text}"}
    assert len(listed) > 3


@pytest.mark.parametrize(
    "text", ["plain", "a=b", "1-2", "DDE", "dde-1", "", "  ", " x=1", 'quote " and , comma', "two\nlines"]
)
def test_other_texts_are_as_they_are(text: str) -> None:
    """Signs inside a text, quotes and commas come back from the CSV as they were."""
    line = csv_line(stored(title=text))
    assert cells(line)["title"] == text


@pytest.mark.parametrize("value", ["-1.5", "0", "1E+3", "0.10000000000000000001", "-0"])
def test_numbers_are_untouched_and_exact(value: str) -> None:
    """A negative number stays a number in CSV, and both formats give all digits."""
    line = stored(value=Decimal(value))
    assert Decimal(cells(csv_line(line))["value"]) == Decimal(value)
    assert not cells(csv_line(line))["value"].startswith("'")
    assert json.loads(ndjson_line(line), parse_float=Decimal)["value"] == Decimal(value)


def test_the_columns_are_those_of_the_view() -> None:
    """Header and view have the same keys in the same order, so that no column is lost or misplaced."""
    assert tuple(stored_record_view(stored())) == RECORD_FIELDS == tuple(csv_header().split(","))


def test_attributes_and_times_are_canonical() -> None:
    """Attributes are JSON with exact numbers, times are RFC 3339."""
    row = cells(csv_line(stored(attributes={"b": Decimal("1.50"), "a": None}, occurred_at=INSTANT)))
    assert row["attributes"] == '{"a":null,"b":1.5}'
    assert row["occurred_at"] == "2024-01-31T10:00:00.000005Z"
