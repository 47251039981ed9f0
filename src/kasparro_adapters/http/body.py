"""A body on its way in: counted against its bounds, and kept where a hostile one does not fill the memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from kasparro_adapters.http.faults import failure
from kasparro_core.errors import SourceError, TransientSourceError
from kasparro_core.policy.retry import Fault
from kasparro_core.ports.fetch import FetchRequest

IN_MEMORY = 8 * 1024 * 1024
"""A body of more bytes is collected in a temporary file: one that turns out to be too large never was in memory."""

RATIO_FROM = 16 * 1024 * 1024
"""Up to so many unpacked bytes any ratio is harmless, and ordinary: sparse data packs better than 1 to 200."""

_SLACK = 64 * 1024  # a compressed body may be a little longer than what it unpacks to


@dataclass(slots=True)
class Bounds:
    """Counts one body, as it travels (`sent`) and unpacked (`size`), in bytes. `shown` is its address without secrets.
    Each method raises PermanentSourceError, code `too_large` or `compression_ratio`, where a bound is passed."""

    request: FetchRequest
    shown: str
    sent: int = 0
    size: int = 0

    def announced(self, length: int | None) -> None:
        """The upstream said beforehand how long the body is."""
        if length is not None and length > self.request.max_bytes + _SLACK:
            raise self._too_large(f"Content-Length announces {length:,}")

    def received(self, count: int) -> None:
        """So many bytes came over the wire."""
        self.sent += count
        if self.sent > self.request.max_bytes + _SLACK:
            raise self._too_large(f"{self.sent:,} had come when it was broken off")

    def unpacked(self, count: int) -> None:
        """They became so many."""
        self.size += count
        if self.size > self.request.max_bytes:
            raise self._too_large(f"{self.sent:,} on the wire had unpacked to {self.size:,} when it was broken off")
        if self.size > RATIO_FROM and self.size > self.sent * self.request.max_ratio:
            raise self._bomb()

    def _too_large(self, found: str) -> SourceError:
        request = self.request
        return failure(
            request.source,
            Fault.TOO_LARGE,
            f"{self.shown}: the answer is larger than {request.max_bytes:,} bytes ({found}).",
            f"If that is expected, raise `max_bytes` of [sources.{request.source}].",
        )

    def _bomb(self) -> SourceError:
        request = self.request
        return failure(
            request.source,
            Fault.COMPRESSION_RATIO,
            f"{self.shown}: the compressed answer unpacks to more than {request.max_ratio} times its size "
            f"({self.sent:,} bytes had become {self.size:,} when it was broken off).",
            f"If that is expected, raise `max_ratio` of [sources.{request.source}].",
        )


@dataclass(slots=True)
class Spool:
    """Collects a body: in memory at first, in a temporary file from IN_MEMORY bytes on. Raises TransientSourceError,
    code `file_io`, where the file cannot be written."""

    source: str
    _file: BinaryIO = field(
        default_factory=lambda: cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115
    )

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        with self._on_disk():
            self._file.write(piece)

    def whole(self) -> bytes:
        """All that was written."""
        with self._on_disk():
            self._file.seek(0)
            return self._file.read()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TransientSourceError(
                f"{self.source}: the answer is larger than {IN_MEMORY:,} bytes and cannot be kept in the folder for "
                f"temporary files{_folder()} ({error.strerror or error}).",
                source=self.source,
                code="file_io",
                hint="Make room there, or let TMPDIR name another folder.",
            ) from error


def _folder() -> str:
    """Where temporary files go, for a message; "" where no folder can be written, which is then the trouble."""
    with suppress(OSError):
        return f" {tempfile.gettempdir()}"
    return ""
