"""The cursor of a CSV partition: where reading stands in a file, and by what that file is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kasparro_adapters.files.facts import Layout
from kasparro_core.errors import CheckpointError
from kasparro_core.model.batch import Cursor

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

    @classmethod
    def parse(cls, cursor: Cursor, source: str) -> Position:
        """The inverse of `cursor`. Raises CheckpointError for anything else."""
        try:
            if cursor["v"] != VERSION:
                raise ValueError(f"version {cursor['v']!r}")
            return _parsed(cursor)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the stored position of {source} is not one of a CSV file: {error!r}.",
                source=source,
                hint=f"`kasparro run {source} --full` reads its files again from their start.",
            ) from error


def _parsed(cursor: Mapping[str, Any]) -> Position:
    file = cursor["file"]
    return Position(
        size=int(file["size"]),
        mtime_ns=int(file["mtime_ns"]),
        head=Print(*file["head"]),
        seen=Print(*file["seen"]),
        rules=str(file["rules"]),
        offset=int(cursor["offset"]),
        line=int(cursor["line"]),
        layout=Layout.from_facts(cursor["layout"]),
        done=bool(cursor["done"]),
        tail=cursor["tail"],
    )
