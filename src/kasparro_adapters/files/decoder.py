"""Understanding a chunk of CSV: bytes and facts in, items and rejections out. Every cell stays text, as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kasparro_adapters.files.dialect import ROW_LIMIT, Row, fits, scan, split_lines
from kasparro_adapters.files.encoding import decode_lenient
from kasparro_adapters.files.facts import Layout
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model.batch import Decoded
from kasparro_core.model.raw import RawPayload
from kasparro_core.model.record import RawRecord
from kasparro_core.model.rejection import Rejection, Stage

_MARK = "\ufeff"
_SHOWN = 2_000


class CsvDecoder:
    """Implements Decoder for `decode_facts["format"] == "csv"`.

    Rejections (path "line N", the physical line of the file): `ragged_row` (payload: its cells), `unclosed_quote`,
    `row_too_large`, `encoding`, `nul` (payload: the text, unreadable bytes as \\xNN). A row with more cells than
    columns is accepted when all surplus cells are empty (a trailing delimiter). Completely empty lines are no rows.
    """

    def decode(self, raw: RawPayload, /) -> Decoded:
        """Items and rejections of a chunk. Raises PermanentSourceError when the facts are not those of a CSV chunk."""
        try:
            layout, first_line = Layout.from_facts(raw.decode_facts), int(raw.decode_facts["first_line"])
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentSourceError(f"these are not the decode facts of a CSV chunk: {error!r}") from error
        text, sound = decode_chunk(raw.payload, layout.encoding, at_start=first_line == 1)
        return _Reading(layout, first_line, split_lines(text), sound and "\0" not in text).run()


def decode_chunk(payload: bytes, encoding: str, *, at_start: bool) -> tuple[str, bool]:
    """The text of a chunk without byte order mark, and whether all of it could be decoded."""
    sound = True
    try:
        text = payload.decode(encoding)
    except UnicodeDecodeError:
        text, sound = decode_lenient(payload, encoding), False
    return (text[1:] if at_start and text.startswith(_MARK) else text), sound


class _Reading:
    """One pass over one chunk. `sound`: no row needs to be looked at for unreadable bytes or NUL."""

    def __init__(self, layout: Layout, first_line: int, lines: Sequence[str], sound: bool) -> None:
        self._layout = layout
        self._lines = lines[layout.skip :]
        self._first_line = first_line + layout.skip
        self._sound = sound
        self._items: list[RawRecord] = []
        self._rejections: list[Rejection] = []

    def run(self) -> Decoded:
        header, sound = self._layout.header, self._sound
        width, add, new = len(header), self._items.append, tuple.__new__
        index = 0
        for row in scan(self._lines, self._layout.dialect, width=width):
            cells = row.cells
            if cells is not None and len(cells) == width and sound:
                # RawRecord(...) by its bare constructor, which is what makes a quarter of the time of a row
                add(new(RawRecord, (index, dict(zip(header, cells, strict=False)))))
            elif cells == []:
                continue
            else:
                self._judge(index, row)
            index += 1
        return Decoded(self._items, self._rejections)

    def _judge(self, index: int, row: Row) -> None:
        """Anything but a sound row of the right width."""
        header, cells = self._layout.header, row.cells
        text = "".join(self._lines[row.start : row.end])
        if cells is None:
            self._give_up(index, row, text)
        elif not self._sound and (fault := _fault(text)):
            self._reject(index, row, *fault, _printable(text))
        elif not fits(cells, len(header)):
            message = f"expected {len(header)} columns, found {len(cells)}"
            self._reject(index, row, "ragged_row", message, cells)
        else:
            self._items.append(RawRecord(index, dict(zip(header, cells, strict=False))))

    def _give_up(self, index: int, row: Row, text: str) -> None:
        shown = _printable(text[:_SHOWN])
        if len(text) > ROW_LIMIT:
            message = f"expected at most {ROW_LIMIT:,} characters in a row, found {len(text):,}"
            self._reject(index, row, "row_too_large", message, shown)
        else:
            message = "expected a closing quote, found none before the end of the row"
            self._reject(index, row, "unclosed_quote", message, shown)

    def _reject(self, index: int, row: Row, code: str, message: str, payload: Any) -> None:
        path = f"line {self._first_line + row.start}"
        self._rejections.append(Rejection(Stage.DECODE, code, path, message, payload, index))


def _fault(text: str) -> tuple[str, str] | None:
    if any("\ud800" <= char <= "\udfff" for char in text):
        return "encoding", "expected text in the encoding of the file, found bytes that are none"
    if "\0" in text:
        return "nul", "expected text, found a NUL character"
    return None


def _printable(text: str) -> str:
    """`text` with undecodable bytes as \\xNN, so that it can be stored anywhere; NUL as \\x00."""
    if not text.isascii():
        text = "".join(f"\\x{ord(c) & 0xFF:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\x00").rstrip("\r\n")
