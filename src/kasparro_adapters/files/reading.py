"""One read of one file: from where the last one ended to the end, in batches whose cursors are exact.

What is read
    A file that is as it was yields nothing. One that grew is read from where reading ended. Anything else (another
    start, shorter, other bytes in front of the position, the same size at another time, other reading rules) is read
    again from its start. A compressed or downloaded file has to be read through anyway, so there all bytes in front of
    the position are compared, of a plain file the first and the last 64 KiB of them.

The last line
    A last line without line end may be half a row that somebody is still writing, or the end of a file that simply
    lacks its last line end. It is read at once where nothing is appended (compressed, downloaded, `full`) and on the
    first read of a file, if it has all its columns; else it waits, and is read when a later run finds the file
    unchanged or the line ended. The same holds for a row whose quote is still open. Whether read or not, the position
    stays in front of it, so that growth reads it again, whole; its key makes that an update of the same record.
    A file that has shown only its header keeps its position at 0, so that its layout is found with rows in view.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from kasparro_adapters.files.chunks import Chunk, Chunker, OpenRow
from kasparro_adapters.files.decoder import CsvDecoder
from kasparro_adapters.files.detect import ReadingRules, detect_layout
from kasparro_adapters.files.facts import Layout
from kasparro_adapters.files.foreign import refuse_foreign
from kasparro_adapters.files.opening import OpenFile
from kasparro_adapters.files.position import PRINT_BYTES, Position, Print, Tail
from kasparro_core.errors import TransientSourceError
from kasparro_core.model.batch import Batch, Decoded, FetchFacts
from kasparro_core.model.listing import NOTHING, Extent
from kasparro_core.model.raw import RawPayload

SAMPLE_BYTES = 1024 * 1024
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadTask:
    """What a read starts from. `known`: the committed position, None to read everything.

    `watched`: the file lives on disk and others may write to it (a downloaded copy is not).
    `settled`: an open row at the end is read whatever it looks like.
    """

    rules: ReadingRules
    rules_hash: str
    batch_rows: int
    observed_at: datetime
    shown: str
    known: Position | None
    watched: bool = True
    settled: bool = False


class FileRead:
    """Reads `file` once; not to be used twice."""

    def __init__(self, file: OpenFile, task: ReadTask) -> None:
        self._file = file
        self._task = task
        self._known = task.known if task.known and task.known.rules == task.rules_hash else None
        self._stat = file.stat()
        self._trail = _Trail(whole=not file.seekable)
        self._from_start = True
        self._taken = 0

    def batches(self) -> Iterator[Batch]:
        """The batches. Raises SourceError, OSError and what decompressors raise."""
        known = self._known
        idle = known is not None and known.done and known.tail != "waits" and self._is_same(known)
        if idle and not self._file.seekable:
            return
        resumed = known if known is not None and self._resume(known) else None
        if idle and (resumed or (known and not known.offset and self._has_head(known.head))):
            return
        yield from self._read(resumed)

    def _read(self, resumed: Position | None) -> Iterator[Batch]:
        if resumed is None:
            position, chunker = self._begin()
        else:
            position, chunker = self._go_on(resumed)
        committed, begun = self._task.known, resumed is not None
        while (chunk := chunker.next()) is not None:
            position, decoded, raw = self._advance(position, chunk)
            if raw is not None:
                committed, extent, begun = position, _extent(position, begun=begun), True
                yield Batch(position.cursor(), self._facts(), raw, decoded.items, decoded.rejections, extent=extent)
        if not position.done:
            position = self._finished(position)
        if position != committed:
            yield Batch(position.cursor(), self._facts(), extent=_extent(position, begun=begun), same_as=NOTHING)

    def _begin(self) -> tuple[Position, Chunker]:
        self._file.rewind()
        sample = _read_fully(self._file, SAMPLE_BYTES)
        refuse_foreign(sample, self._task.shown)
        layout = detect_layout(sample, self._task.rules, complete=len(sample) < SAMPLE_BYTES)
        head = Print.of(sample[:PRINT_BYTES])
        start = Position(self._stat.st_size, self._mtime(), head, Print.of(b""), self._task.rules_hash, layout)
        return start, self._chunker(layout, sample, at_start=True)

    def _go_on(self, known: Position) -> tuple[Position, Chunker]:
        self._from_start = False
        here = replace(known, size=self._stat.st_size, mtime_ns=self._mtime(), done=False, tail="none")
        return here, self._chunker(known.layout, b"", at_start=False)

    def _chunker(self, layout: Layout, ahead: bytes, *, at_start: bool) -> Chunker:
        return Chunker(self._file.stream, layout, rows=self._task.batch_rows, ahead=ahead, at_start=at_start)

    def _resume(self, known: Position) -> bool:
        """Go to the known position, if the file still is what it was up to there."""
        if not known.offset:
            return False
        return self._resume_plain(known) if self._file.seekable else self._resume_through(known)

    def _resume_plain(self, known: Position) -> bool:
        rewritten = self._stat.st_size == known.size and self._mtime() != known.mtime_ns
        if rewritten or self._stat.st_size < known.size or not self._has_head(known.head):
            return False
        self._file.stream.seek(known.offset - known.seen.size)
        seen = _read_fully(self._file, known.seen.size)
        self._trail.add(seen)
        return known.seen.fits(seen)

    def _resume_through(self, known: Position) -> bool:
        trail = _Trail(whole=True)
        left = known.offset
        while left and (block := self._file.stream.read(min(left, _BLOCK))):
            trail.add(block)
            left -= len(block)
        if left or trail.print() != known.seen:
            return False
        self._trail = trail
        return True

    def _has_head(self, head: Print) -> bool:
        self._file.stream.seek(0)
        return head.fits(_read_fully(self._file, head.size))

    def _advance(self, position: Position, chunk: Chunk) -> tuple[Position, Decoded, RawPayload | None]:
        """The position after a chunk, and what is to be committed with it (None: nothing)."""
        layout = position.layout
        open_row = chunk.open_row
        waits = open_row is not None and not self._accepts(open_row, layout)
        if waits:
            chunk = chunk.without_open_row()
        at_start = position.offset == 0 and self._from_start
        raw = RawPayload(chunk.payload, layout.facts(1 if at_start else position.line))
        decoded = CsvDecoder().decode(raw)
        empty = not decoded.items and not decoded.rejections
        unseen = empty and at_start and chunk.last  # nothing but a header
        after = position if unseen else self._moved(position, chunk)
        if chunk.last:
            after = self._finished(after, "waits" if waits else "read" if open_row else "none")
        return after, decoded, None if empty else raw

    def _moved(self, position: Position, chunk: Chunk) -> Position:
        """Behind the closed rows of `chunk`: its open row stays in front."""
        closed = chunk.without_open_row()
        self._trail.add(closed.payload)
        offset, line = position.offset + len(closed.payload), position.line + closed.lines
        return replace(position, offset=offset, line=line, seen=self._trail.print())

    def _accepts(self, row: OpenRow, layout: Layout) -> bool:
        """Whether the open row at the end of the file is read now (see the module's docstring)."""
        if self._task.settled or not self._file.seekable or (self._known and self._is_same(self._known)):
            return True
        whole = row.terminated or (row.width is not None and row.width >= len(layout.header))
        return self._from_start and whole

    def _finished(self, position: Position, tail: Tail = "none") -> Position:
        """The position that the next run starts from. Raises TransientSourceError when the file changed meanwhile."""
        after = replace(position, done=True, tail=tail)
        read, now = self._file.raw.tell(), self._file.stat()
        if not self._task.watched or (now.st_size, now.st_mtime_ns) == (self._stat.st_size, self._stat.st_mtime_ns):
            return after
        if not self._only_grew(now, position.head):
            raise TransientSourceError(
                f"{self._task.shown} was changed while it was read.",
                code="file_changed",
                hint="The next run reads it again.",
            )
        return replace(after, size=read, mtime_ns=now.st_mtime_ns if read == now.st_size else 0)

    def _only_grew(self, now: os.stat_result, head: Print) -> bool:
        return self._file.seekable and now.st_size > self._stat.st_size and self._has_head(head)

    def _is_same(self, known: Position) -> bool:
        """True when neither size nor time of the file moved since `known`."""
        return self._task.watched and (known.size, known.mtime_ns) == (self._stat.st_size, self._stat.st_mtime_ns)

    def _mtime(self) -> int:
        return self._stat.st_mtime_ns if self._task.watched else 0

    def _facts(self) -> FetchFacts:
        """Bytes of the file read since the last batch."""
        before, self._taken = self._taken, self._file.raw.tell()
        size = max(self._taken - before, 0) if self._task.watched else 0
        return FetchFacts(self._task.observed_at, url=self._task.shown, bytes_fetched=size)


def _extent(position: Position, *, begun: bool) -> Extent:
    """Where the batch that leads to a position stands in a reading of the whole file. One whose last row waits has not
    been read to its end."""
    ended = position.done and position.tail != "waits"
    return (Extent.PART if begun else Extent.FIRST) | (Extent.LAST if ended else Extent.PART)


class _Trail:
    """Remembers what lies in front of the position: all of it as a running hash, or the last PRINT_BYTES."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._size = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._last = b""

    def add(self, data: bytes) -> None:
        if self._whole:
            self._hash.update(data)
            self._size += len(data)
        else:
            self._last = (self._last + data[-PRINT_BYTES:])[-PRINT_BYTES:]

    def print(self) -> Print:
        return Print(self._size, self._hash.hexdigest()) if self._whole else Print.of(self._last)


def _read_fully(file: OpenFile, size: int) -> bytes:
    """Exactly `size` bytes, or fewer where the stream ends."""
    parts = []
    while size and (part := file.stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
