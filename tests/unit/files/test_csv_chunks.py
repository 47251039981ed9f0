"""Chunks of whole rows: whatever the dialect, the encoding and the size, nothing is lost, moved or doubled."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.files import CsvDecoder
from kasparro_adapters.files import chunks as chunks_module
from kasparro_adapters.files.chunks import Chunk, Chunker
from kasparro_adapters.files.dialect import Dialect
from kasparro_adapters.files.facts import Layout
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import Decoded, RawPayload


class Dripping(io.BytesIO):
    """A stream that gives at most `piece` bytes a read."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self._piece = piece

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._piece if size is None or size < 0 else min(size, self._piece))


def cut(data: bytes, layout: Layout, *, rows: int, piece: int, size: int) -> list[Chunk]:
    chunker = Chunker(Dripping(data, piece), layout, rows=rows, ahead=data[:4], at_start=True, size=size)
    chunker._stream.seek(min(4, len(data)))
    found = []
    while (chunk := chunker.next()) is not None:
        found.append(chunk)
    return found


def decode(chunks: list[Chunk], layout: Layout) -> list[Decoded]:
    line, decoded = 1, []
    for chunk in chunks:
        decoded.append(CsvDecoder().decode(RawPayload(chunk.payload, layout.facts(line))))
        line += chunk.lines
    return decoded


CELLS = st.text(
    st.one_of(st.sampled_from("a,;\t|\"'\n\r é€𝄞0"), st.characters(codec="utf-8", exclude_characters="\0\\")),
    max_size=6,
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], Dialect, str]:
    """Rows of one width, a dialect and a line end."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12))
    dialect = Dialect(
        delimiter=draw(st.sampled_from(",;\t|")),
        quote=draw(st.sampled_from("\"'")),
        escape=draw(st.sampled_from([None, "\\"])),
    )
    return rows, dialect, draw(st.sampled_from(["\n", "\r\n", "\r"]))


def written(rows: list[list[str]], dialect: Dialect, end: str) -> str:
    text = io.StringIO(newline="")
    options: dict[str, Any] = {"delimiter": dialect.delimiter, "quotechar": dialect.quote, "lineterminator": end}
    if dialect.escape:
        options |= {"doublequote": False, "escapechar": dialect.escape}
    if dialect.escape or end != "\r\n":
        options["quoting"] = csv.QUOTE_ALL  # else csv.writer leaves the other line ends bare, which makes new rows
    csv.writer(text, **options).writerows(rows)
    return text.getvalue()


@given(
    table=tables(),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"]),
    mark=st.booleans(),
    rows=st.integers(1, 5),
    piece=st.integers(1, 40),
    size=st.integers(1, 200),
)
def test_tables_are_read_back_exactly_for_any_chunk_size(
    table: tuple[list[list[str]], Dialect, str], encoding: str, mark: bool, rows: int, piece: int, size: int
) -> None:
    """What csv.writer wrote in any dialect and encoding comes back cell by cell, cut anywhere; no byte is lost."""
    body, dialect, end = table
    names = [f"name_{place}" for place in range(len(body[0]) if body else 1)]
    text = ("\ufeff" if mark else "") + written([names, *body], dialect, end)
    data = text.encode(encoding)
    layout = Layout(encoding, dialect, tuple(names), skip=1)
    chunks = cut(data, layout, rows=rows, piece=piece, size=size)
    decoded = decode(chunks, layout)
    assert b"".join(chunk.payload for chunk in chunks) == data
    assert [list(item.data.values()) for part in decoded for item in part.items] == body
    assert not any(part.rejections for part in decoded)


@given(data=st.binary(max_size=300), rows=st.integers(1, 5), piece=st.integers(1, 60), size=st.integers(1, 100))
def test_any_bytes_are_cut_without_loss_and_decoded_the_same_as_in_one_piece(
    data: bytes, rows: int, piece: int, size: int
) -> None:
    """Garbage crashes nothing: payloads add up to the bytes, each row is an item or a rejection at its own line."""
    layout = Layout("utf-8", Dialect(), ("a", "b"))
    chunks = cut(data, layout, rows=rows, piece=piece, size=size)
    parts = decode(chunks, layout)
    whole = CsvDecoder().decode(RawPayload(data, layout.facts(1)))
    assert b"".join(chunk.payload for chunk in chunks) == data
    assert [i.data for p in parts for i in p.items] == [i.data for i in whole.items]
    assert [(r.code, r.path) for p in parts for r in p.rejections] == [(r.code, r.path) for r in whole.rejections]


def test_quoted_line_ends_survive_a_border_at_every_byte() -> None:
    """A quoted cell with \\n, \\r\\n and \\r is one cell wherever the reads fall."""
    data = b'a,b\r\n1,"x\r\ny\rz\n"\r\n2,"q""r"\r\n'
    layout = Layout("utf-8", Dialect(), ("a", "b"), skip=1)
    for piece in range(1, len(data) + 1):
        parts = decode(cut(data, layout, rows=1, piece=piece, size=1000), layout)
        values = [tuple(item.data.values()) for part in parts for item in part.items]
        assert values == [("1", "x\r\ny\rz\n"), ("2", 'q"r')]


def test_chunks_hold_at_most_the_asked_number_of_rows() -> None:
    """The bound counts rows, in plain text and between quotes."""
    layout = Layout("utf-8", Dialect(), ("a",))
    for data in (b"1\n" * 10, b'"1"\n' * 10):
        counts = [len(part.items) for part in decode(cut(data, layout, rows=4, piece=100, size=10_000), layout)]
        assert counts == [4, 4, 2]


def test_the_open_row_at_the_end_is_measured() -> None:
    """A last line without line end, or an open quote, is described so that it can be left for later."""
    layout = Layout("utf-8", Dialect(), ("a", "b"))
    (chunk,) = cut(b"1,2\n3,4", layout, rows=10, piece=100, size=1000)
    assert chunk.open_row == (3, 1, 2, False)
    assert chunk.without_open_row().payload == b"1,2\n"
    closed, chunk = cut(b'1,2\n3,"4\n5,6\n', layout, rows=10, piece=100, size=1000)
    assert (closed.open_row, chunk.open_row) == (None, (9, 2, None, True))
    (chunk,) = cut(b"1,2\n", layout, rows=10, piece=100, size=1000)
    assert chunk.open_row is None


def test_an_endless_line_is_an_error_and_not_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit stops the file."""
    monkeypatch.setattr(chunks_module, "LINE_BYTES", 1000)
    layout = Layout("utf-8", Dialect(), ("a",))
    with pytest.raises(PermanentSourceError) as caught:
        cut(b"x" * 5000, layout, rows=10, piece=100, size=100)
    assert caught.value.code == "line_too_long"
