"""Undoing Content-Encoding piece by piece, so that no bomb is ever unpacked beyond the piece that breaks the cap."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

ACCEPTED = "gzip, deflate"
"""What requests offer in Accept-Encoding."""

PIECE = 64 * 1024
SIP = 4 * 1024
_GZIP = 31
_ZLIB = 15
_RAW = -15
_GZIP_MAGIC = 0x1F


class UnknownEncodingError(ValueError):
    """A Content-Encoding that was not offered."""


class Inflater(Protocol):
    """One body's decompression."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed pieces, each at most PIECE long. Raises zlib.error for damaged data."""
        ...

    @property
    def complete(self) -> bool:
        """False while the compressed stream has not reached its end."""
        ...


class Plain:
    """No encoding: whether the body is whole is for the transfer to say."""

    complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data as it is."""
        yield data


class Deflated:
    """gzip (of one or several members) and deflate (with or without its zlib header, both occur)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._stream: zlib._Decompress | None = None

    @property
    def complete(self) -> bool:
        """True at the end of a member, and for a body without a byte."""
        return self._stream is None or self._stream.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed pieces. What follows the end and is no further gzip member is padding, and left out."""
        while data:
            stream = self._stream
            if stream is None or stream.eof:
                if stream is not None and not (self._gzip and data[0] == _GZIP_MAGIC):
                    return
                self._stream = stream = zlib.decompressobj(self._window(data[0]))
            yield from _unpacked(stream, data)
            data = stream.unused_data

    def _window(self, first: int) -> int:
        if self._gzip:
            return _GZIP
        return _ZLIB if first & 0x0F == 8 and first >> 4 <= 7 else _RAW


def _unpacked(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while True:
        piece = stream.decompress(data, PIECE)
        if piece:
            yield piece
        data = stream.unconsumed_tail
        if stream.eof or (not data and len(piece) < PIECE):
            return


def sips(data: bytes, inflater: Inflater) -> Iterator[bytes]:
    """What came off the wire, in portions to be fed: of compressed data small ones, so that what unpacked and what was
    taken for it can be compared all along."""
    step = max(len(data), 1) if isinstance(inflater, Plain) else SIP
    return (data[at : at + step] for at in range(0, len(data), step))


def inflater(encoding: str) -> Inflater:
    """The decompression for a Content-Encoding header ("" and identity: none). Raises UnknownEncodingError."""
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip":
            return Deflated(gzip=True)
        case "deflate":
            return Deflated(gzip=False)
        case other:
            raise UnknownEncodingError(other)
