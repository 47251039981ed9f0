"""Cutting a stream of bytes into chunks of whole rows, in constant memory, without losing count of a byte or a line.

For encodings whose ASCII characters are ASCII bytes the cutting works on the bytes read as Latin-1, where one character
is one byte and quotes, delimiters and line ends stand where they stand in the real text. UTF-16 and UTF-32 are cut in
their real text and measured by encoding it again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from kasparro_adapters.files.dialect import scan, split_lines
from kasparro_adapters.files.encoding import decode_lenient, mark_length, unit_width
from kasparro_adapters.files.facts import Layout
from kasparro_core.errors import PermanentSourceError

READ_BYTES = 1024 * 1024
CHUNK_BYTES = 4 * 1024 * 1024
LINE_BYTES = 64 * 1024 * 1024
"""The longest physical line that is read at all; a longer one means that the file is not CSV."""


class OpenRow(NamedTuple):
    """The end of a file that may be half a row: the last line has no terminator, or a quote is not closed.

    It takes `size` bytes and `lines` physical lines; `width` is its number of cells (None: given up); `terminated`
    says whether the file ends with a line end.
    """

    size: int
    lines: int
    width: int | None
    terminated: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole rows. `lines` counts physical lines. `last`: it reaches the end of the file (an end that falls on the
    border of a chunk is found by the next call alone). `open_row`: how the last chunk ends, when it may be torn.
    """

    payload: bytes
    lines: int
    last: bool = False
    open_row: OpenRow | None = None

    def without_open_row(self) -> Chunk:
        """The same chunk, cut off where its open row begins."""
        if self.open_row is None:
            return self
        return Chunk(self.payload[: -self.open_row.size], self.lines - self.open_row.lines, self.last)


class Chunker:
    """Reads `stream` forward. `ahead` are bytes already taken from it; with `at_start` they begin the file, so that a
    byte order mark and the lines in front of the first row are no rows.

    `rows` and `size` (bytes) bound a chunk; a single larger row makes a chunk of its own.
    """

    def __init__(
        self,
        stream: BinaryIO,
        layout: Layout,
        *,
        rows: int,
        ahead: bytes = b"",
        at_start: bool,
        size: int = CHUNK_BYTES,
    ) -> None:
        self._stream = stream
        self._dialect = layout.dialect
        self._encoding = layout.encoding
        self._width = unit_width(layout.encoding)
        self._columns = len(layout.header)
        self._rows = rows
        self._size = size
        self._pending = ahead
        self._mark = mark_length(ahead) if at_start else 0
        self._skip = layout.skip if at_start else 0
        self._ended = False
        self._simple = False

    def next(self) -> Chunk | None:
        """The next chunk, or None after the last one. Raises PermanentSourceError for an endless line."""
        while self._pending or not self._ended:
            lines = self._whole_lines()
            if self._ended and not lines:
                return None
            enough = len(self._pending) >= self._size or len(lines) > self._rows + self._skip
            if (enough or self._ended) and (count := self._fill(lines)):
                return self._take(lines, count)
            self._read()
        return None

    def _read(self) -> None:
        if len(self._pending) > LINE_BYTES:
            raise PermanentSourceError(
                f"a line is longer than {LINE_BYTES // 2**20} MiB: this is not a CSV file", code="line_too_long"
            )
        block = self._stream.read(READ_BYTES)
        self._ended = not block
        self._pending += block

    def _whole_lines(self) -> list[str]:
        """The physical lines at hand; the last one only if nothing can be added to it (\\r may be half of \\r\\n)."""
        data = self._pending[self._mark :]
        text = data.decode("latin-1") if self._width == 1 else decode_lenient(data, self._encoding)
        self._simple = self._dialect.is_simple(text)
        lines = split_lines(text)
        if lines and not self._ended and not lines[-1].endswith("\n"):
            del lines[-1]
        return lines

    def _fill(self, lines: Sequence[str]) -> int:
        """How many physical lines make up a chunk; 0 when not one row is known to be whole."""
        skip = self._skip
        ends = list(accumulate(map(len, lines)))
        fitting = max(bisect_right(ends, self._size // self._width), skip + 1)
        if self._simple:
            return min(skip + self._rows, fitting, len(lines))
        count = end = 0
        for row in scan(lines[skip:], self._dialect, width=self._columns, complete=self._ended):
            if row.open:  # all that an open quote may hold stays together, in a chunk of its own
                return skip + end if end else len(lines)
            if count == self._rows or (count and skip + row.end > fitting):
                break
            count, end = count + 1, row.end
        return skip + end if end or self._ended else 0

    def _take(self, lines: list[str], count: int) -> Chunk:
        last = self._ended and count == len(lines)
        size = len(self._pending) if last else self._mark + self._measure(lines[:count])
        chunk = Chunk(self._pending[:size], count, last, self._open_row(lines) if last else None)
        self._pending = self._pending[size:]
        self._mark = self._skip = 0
        return chunk

    def _measure(self, lines: Sequence[str]) -> int:
        """Bytes of these lines in the file."""
        match self._width:
            case 1:
                return sum(map(len, lines))
            case 2:
                return sum(len(line.encode("utf-16-le", "surrogatepass")) for line in lines)
        return 4 * sum(map(len, lines))

    def _open_row(self, lines: Sequence[str]) -> OpenRow | None:
        """What may be torn at the end of the file, whose last lines these are."""
        terminated = not lines or lines[-1].endswith(("\n", "\r"))
        if terminated and self._simple:
            return None
        body = lines[self._skip :]
        start, width = len(body), None
        for row in scan(body, self._dialect, width=self._columns):
            if row.open:
                start, width = row.start, None
                break
            if not terminated:
                start, width = row.start, None if row.cells is None else len(row.cells)
        if start == len(body):
            return None
        before = self._mark + self._measure(lines[: self._skip + start])
        return OpenRow(len(self._pending) - before, len(body) - start, width, terminated)
