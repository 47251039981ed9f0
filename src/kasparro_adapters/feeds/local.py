"""Files: read in bounded memory, gzip recognized by its first bytes."""

from __future__ import annotations

import errno
import zlib
from pathlib import Path

from kasparro_adapters.confine import open_inside
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError

_NO_PATH = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EINVAL})
_GZIP = b"\x1f\x8b"
_WINDOW = 31  # zlib's number for "gzip, any window"


def read_file(path: Path, folder: Path, limit: int) -> bytes:
    """A file's bytes as they are, of a file that lies in `folder`.

    Raises PermanentSourceError: `file_missing`, `file_denied`, `file_is_directory`, `file_not_regular`, `file_outside`,
    `file_path`, `feed_too_large`; TransientSourceError: `file_io`.
    """
    try:
        with open_inside(path, folder, "a feed") as file:
            payload = file.read(limit + 1)
    except FileNotFoundError as error:
        raise PermanentSourceError(f"there is no file {path}.", code="file_missing") from error
    except OSError as error:
        raise _fault(path, error) from error
    if len(payload) > limit:
        raise _too_large(limit)
    return payload


def _fault(path: Path, error: OSError) -> SourceError:
    if isinstance(error, PermissionError):
        return PermanentSourceError(f"{path} may not be read: {error.strerror}.", code="file_denied")
    if error.errno in _NO_PATH:
        return PermanentSourceError(f"{path} cannot be opened: {error.strerror}.", code="file_path")
    return TransientSourceError(f"{path} cannot be read: {error.strerror}.", code="file_io")


def unzipped(payload: bytes, limit: int) -> bytes:
    """The payload, decompressed if it is gzip. Raises PermanentSourceError: `decompression`, `feed_too_large`."""
    parts: list[bytes] = []
    room, rest = limit, payload
    while rest.startswith(_GZIP):
        part, rest = _member(rest, room)
        room -= len(part)
        if room < 0:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts) if parts else payload


def _member(packed: bytes, room: int) -> tuple[bytes, bytes]:
    """One gzip member, at most one byte more than `room`, and what follows it."""
    unpacker = zlib.decompressobj(_WINDOW)
    try:
        part = unpacker.decompress(packed, room + 1)
    except zlib.error as error:
        raise PermanentSourceError("the gzip data is damaged.", code="decompression") from error
    if len(part) <= room and not unpacker.eof:
        raise PermanentSourceError("the gzip data ends too early.", code="decompression")
    return part, unpacker.unused_data


def _too_large(limit: int) -> PermanentSourceError:
    return PermanentSourceError(
        f"the feed is larger than {limit:,} bytes.", code="feed_too_large", hint="`max_bytes` sets the limit."
    )
