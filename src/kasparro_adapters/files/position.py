"""The cursor of a CSV partition: where reading stands in a file, and by what that file is known again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from kasparro_adapters.files.encoding import is_readable
from kasparro_adapters.files.facts import Layout
from kasparro_adapters.files.opening import OpenFile
from kasparro_core.model.batch import Cursor
from kasparro_core.services.position import Count, Shape, Text, not_understood, understood

VERSION = 1
PRINT_BYTES = 64 * 1024
Tail = Literal["none", "read", "waits"]


class Print(NamedTuple):
    """The hash of `size` bytes of the decompressed stream."""

    size: int
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Print:
        """Of all of `data`."""
        return cls(len(data), hashlib.blake2b(data, digest_size=16).hexdigest())

    def fits(self, data: bytes) -> bool:
        """True when `data` are these bytes."""
        return Print.of(data) == self


@dataclass(frozen=True, slots=True)
class Position:
    """`offset` bytes (decompressed) and `line - 1` physical lines are read.

    `size` and `mtime_ns` are those of the file (compressed, if it is) when it was read; `head` its first bytes, `seen`
    the last bytes before `offset` (all of them where the stream cannot seek). `offset` stays 0 until a row
    was read. `tail`: what became of an open row at the end of the file, which begins at `offset`.
    """

    size: int
    mtime_ns: int
    head: Print
    seen: Print
    rules: str
    layout: Layout
    offset: int = 0
    line: int = 1
    done: bool = False
    tail: Tail = "none"

    def cursor(self) -> dict[str, Any]:
        """The JSON object that `parse` understands."""
        return {
            "v": VERSION,
            "file": {
                "size": self.size,
                "mtime_ns": self.mtime_ns,
                "head": list(self.head),
                "seen": list(self.seen),
                "rules": self.rules,
            },
            "offset": self.offset,
            "line": self.line,
            "layout": self.layout.facts(self.line),
            "done": self.done,
            "tail": self.tail,
        }

    def is_beyond(self, file: OpenFile) -> bool:
        """True where the file is as it was, and ends before this position all the same: no read of it came so far."""
        now = file.stat()
        unchanged = (now.st_size, now.st_mtime_ns) == (self.size, self.mtime_ns)
        return file.seekable and unchanged and self.offset > self.size

    @classmethod
    def parse(cls, cursor: Cursor, source: str, partition: str) -> Position:
        """The inverse of `cursor`. Raises CheckpointError for anything else, and for what is true of no file."""
        stored = understood(_Stored, cursor, source, partition)
        try:
            position = stored.position()
        except (LookupError, ValueError) as error:
            raise not_understood(source, partition, cursor, str(error)) from error
        if position.cursor() != cursor:
            raise not_understood(source, partition, cursor, "`layout` is not that of `line`")
        return position


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sign = Annotated[str, Field(min_length=1, max_length=1)]


class _StoredFile(Shape):
    size: Count
    mtime_ns: int
    head: Annotated[list[Any], Field(min_length=2, max_length=2)]
    seen: Annotated[list[Any], Field(min_length=2, max_length=2)]
    rules: str


class _StoredLayout(Shape):
    format: Literal["csv"]
    encoding: str
    delimiter: Sign
    quote: Sign | None
    escape: Sign | None
    skip_space: bool
    header: list[Text]
    first_line: Annotated[int, Field(ge=1)]
    skip: Count


class _StoredPrint(Shape):
    size: Count
    digest: Digest


class _Stored(Shape):
    v: Annotated[int, Field(ge=VERSION, le=VERSION)]
    file: _StoredFile
    offset: Count
    line: Annotated[int, Field(ge=1)]
    layout: _StoredLayout
    done: bool
    tail: Tail

    def position(self) -> Position:
        """The position. Raises LookupError or ValueError where its members do not go together."""
        if not is_readable(self.layout.encoding):
            raise ValueError(f"`layout.encoding`: {self.layout.encoding} is not for CSV files")
        head, seen = _print("file.head", self.file.head), _print("file.seen", self.file.seen)
        if seen.size not in (self.offset, min(self.offset, PRINT_BYTES)):
            raise ValueError(f"`file.seen` is of {seen.size} bytes before `offset`, which is {self.offset}")
        return Position(
            size=self.file.size,
            mtime_ns=self.file.mtime_ns,
            head=head,
            seen=seen,
            rules=self.file.rules,
            layout=Layout.from_facts(self.layout.model_dump()),
            offset=self.offset,
            line=self.line,
            done=self.done,
            tail=self.tail,
        )


def _print(member: str, pair: list[Any]) -> Print:
    try:
        return Print(**dict(_StoredPrint(size=pair[0], digest=pair[1])))
    except ValidationError as error:
        raise ValueError(f"`{member}` is no pair of a size and a hash") from error
