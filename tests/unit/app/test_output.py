"""Tables and cells."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from kasparro_app.cli.output import cell, fitted, plain_lines, print_views


def test_plain_tables_are_aligned_and_bare() -> None:
    """Off a terminal there are no boxes, no colours and no trailing spaces; numbers stand right."""
    lines = plain_lines(["name", "count"], [["a", "5"], ["longer", "1000"]])
    assert lines == ["name    count", "a           5", "longer   1000"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (Decimal("1.50"), "1.5"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02 03:04:05"),
        ({"a": Decimal("0.1")}, '{"a":0.1}'),
        ("x\x1b[2Jy\nz", "x [2Jy z"),
        ("x" * 100, "x" * 57 + "..."),
    ],
)
def test_a_cell_is_one_harmless_line(value: Any, text: str) -> None:
    """Control signs of a source cannot reach the terminal, and a long text cannot break the table."""
    assert cell(value) == text


@pytest.mark.parametrize("set_to", ["1", ""])
def test_no_color_leaves_no_escape(set_to: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """On a terminal the heading is bold; with NO_COLOR set (https://no-color.org: to anything) nothing is."""
    monkeypatch.setattr("kasparro_app.cli.output.on_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", set_to)
    print_views([{"a": 1}], ["a"], as_json=False, nothing="Nothing.")
    said = capsys.readouterr().out
    assert "a" in said
    assert ("\x1b" in said) is not bool(set_to)


def test_json_of_nothing_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reading --json gets an array, also when there is nothing."""
    print_views([], ["a"], as_json=True, nothing="Nothing.")
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize(
    ("width", "widths"), [(80, [4, 30, 5]), (30, [4, 17, 5]), (27, [4, 14, 5]), (20, [4, 14]), (3, [4])]
)
def test_a_table_fits_its_terminal(width: int, widths: list[int]) -> None:
    """Wide texts are cut first; where that is not enough, columns are left out from the right, never the first."""
    assert fitted(["name", "text", "count"], [["a", "x" * 30, "1"]], width) == widths
