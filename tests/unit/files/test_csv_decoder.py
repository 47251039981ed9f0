"""The decoder: every row is an item or a rejection, with the line of the file and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kasparro_adapters.files import CsvDecoder
from kasparro_adapters.files.dialect import ROW_LIMIT, Dialect
from kasparro_adapters.files.facts import Layout, unique_names
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import Decoded, RawPayload
from kasparro_core.ports import Decoder
from kasparro_core.testing.sources import DecoderContract

LAYOUT = Layout("utf-8", Dialect(), ("a", "b"))


def decode(payload: bytes, layout: Layout = LAYOUT, first_line: int = 2) -> Decoded:
    return CsvDecoder().decode(RawPayload(payload, layout.facts(first_line)))


class TestCsvDecoderContract(DecoderContract):
    """The contract of decoders over sound, ragged, broken and marked chunks."""

    @pytest.fixture
    def decoder(self) -> Decoder:
        return CsvDecoder()

    @pytest.fixture
    def payloads(self) -> Sequence[RawPayload]:
        facts = LAYOUT.facts(2)
        texts = [b"1,2\n3,4\n", b"1\n2,3\n\n4,5,6\n", b'1,"2\n3,4\n', b"\xff,1\n2,3\0\n", b""]
        headed = Layout("utf-8", Dialect(), ("a", "b"), skip=1)
        return [RawPayload(text, facts) for text in texts] + [RawPayload(b"\xef\xbb\xbfa,b\n1,2\n", headed.facts(1))]


def test_cells_stay_text_exactly_as_they_stand() -> None:
    """Nothing is trimmed, typed or made null."""
    decoded = decode(b' 1 ,007\nNaN,\n"x","1e5"\n')
    assert [item.data for item in decoded.items] == [
        {"a": " 1 ", "b": "007"},
        {"a": "NaN", "b": ""},
        {"a": "x", "b": "1e5"},
    ]


def test_ragged_rows_are_rejected_with_their_line_and_their_cells() -> None:
    """Too few and too many cells are told with expected and found; the rows around them load."""
    decoded = decode(b"1,2\n3\n\n4,5,6\n7,8\n", first_line=11)
    assert [(item.index, dict(item.data)) for item in decoded.items] == [
        (0, {"a": "1", "b": "2"}),
        (3, {"a": "7", "b": "8"}),
    ]
    assert [(r.code, r.path, r.message, r.payload, r.index) for r in decoded.rejections] == [
        ("ragged_row", "line 12", "expected 2 columns, found 1", ["3"], 1),
        ("ragged_row", "line 14", "expected 2 columns, found 3", ["4", "5", "6"], 2),
    ]


def test_empty_surplus_cells_are_no_fault() -> None:
    """A trailing delimiter on every row (CoinMetrics 2018) loses nothing."""
    decoded = decode(b"1,2,\n3,4,,\n")
    assert [dict(item.data) for item in decoded.items] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


@pytest.mark.parametrize(
    ("payload", "code", "shown"),
    [
        (b"1,2\n\xff\xfe,x\n3,4\n", "encoding", "\\xff\\xfe,x"),
        (b"1,2\na\0b,x\n3,4\n", "nul", "a\\x00b,x"),
    ],
)
def test_unreadable_rows_are_rejected_alone(payload: bytes, code: str, shown: str) -> None:
    """Bad bytes and NULs cost their own row."""
    decoded = decode(payload)
    assert [item.data["a"] for item in decoded.items] == ["1", "3"]
    (refused,) = decoded.rejections
    assert (refused.code, refused.path, refused.payload) == (code, "line 3", shown)


def test_a_stray_quote_costs_one_line() -> None:
    """A quote that is never closed gives up its line; the rows behind it are read."""
    decoded = decode(b'1,2\n3,"4\n5,6\n7,8\n')
    assert [item.data["a"] for item in decoded.items] == ["1", "5", "7"]
    (refused,) = decoded.rejections
    assert (refused.code, refused.path, refused.payload) == ("unclosed_quote", "line 3", '3,"4')


def test_a_row_beyond_the_limit_is_rejected() -> None:
    """A row larger than the limit does not load, and only the start of it is kept."""
    decoded = decode(b"1,2\n3," + b"x" * (ROW_LIMIT + 1) + b"\n5,6\n")
    assert [item.data["a"] for item in decoded.items] == ["1", "5"]
    (refused,) = decoded.rejections
    assert refused.code == "row_too_large"
    assert len(refused.payload) < 10_000


def test_half_a_character_at_the_end_is_a_rejection() -> None:
    """An odd byte at the end of UTF-16 is not dropped in silence."""
    layout = Layout("utf-16-le", Dialect(), ("a", "b"))
    decoded = decode("1,2\n3,4".encode("utf-16-le") + b"5", layout)
    assert [item.data["a"] for item in decoded.items] == ["1"]
    assert [r.code for r in decoded.rejections] == ["encoding"]


@pytest.mark.parametrize(
    "facts", [{}, {"format": "csv"}, LAYOUT.facts(1) | {"first_line": None}, LAYOUT.facts(1) | {"header": 3}]
)
def test_foreign_facts_are_refused(facts: dict[str, Any]) -> None:
    """Facts of another format are an error of the source, not a crash."""
    with pytest.raises(PermanentSourceError):
        CsvDecoder().decode(RawPayload(b"1,2\n", facts))


def test_column_names_become_unique() -> None:
    """Repeats are numbered, empty names are named by place, and no made name hits a given one."""
    assert unique_names(["a", "", "a", "a_2", "a", " "]) == ("a", "column_2", "a_3", "a_2", "a_4", "column_6")
