"""What `preview` was pointed at: a source of the configuration, a file or an address, and what is in it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import Batch, FetchFacts, RawPayload
from kasparro_core.ports import Clock, Decoder, ReadContext

KINDS = ("csv", "feed", "json")
_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".psv": "csv", ".txt": "csv",
    ".xml": "feed", ".rss": "feed", ".atom": "feed", ".rdf": "feed", ".json": "json",
}  # fmt: skip
_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})
_FEED_ADDRESS = re.compile(r"(?:^|[/._-])(?:rss|atom|feeds?)(?:$|[/._-])", re.IGNORECASE)
_JSON_FEED = b"jsonfeed.org/version"
_LOOK = 4096
Opener = Callable[..., Any]
_OPENERS: dict[bytes, Opener] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
JSON_BYTES = 1024 * 1024 * 1024
"""A JSON file larger than this is not read into memory."""


def is_address(target: str) -> bool:
    """True for http(s) addresses."""
    return target.lower().startswith(("http://", "https://"))


def kind_of_address(address: str) -> str:
    """csv, feed or json, by how the address looks."""
    path = urlsplit(address).path
    return _by_suffix(Path(path)) or ("feed" if _FEED_ADDRESS.search(path) else "json")


def kind_of_file(file: Path) -> str:
    """csv, feed or json, by name and first bytes. Raises PermanentSourceError for a file that cannot be read."""
    by_name = _by_suffix(file)
    if by_name in {"csv", "feed"}:
        return by_name
    start = _start_of(file).lstrip(b"\xef\xbb\xbf").lstrip()
    if _JSON_FEED in start and start.startswith(b"{"):
        return "feed"
    if by_name:
        return by_name
    if start.startswith(b"<"):
        return "feed"
    return "json" if start.startswith((b"{", b"[")) else "csv"


def source_name(target: str) -> str:
    """A name for records of a file or address that no configuration names."""
    path = urlsplit(target).path if is_address(target) else target
    stem = Path(path).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_.-]", "_", stem).lstrip("_.-")[:64] or "preview"


def _by_suffix(file: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def _start_of(file: Path) -> bytes:
    """The first bytes, unpacked."""
    with _readable(file), file.open("rb") as packed:
        start = packed.read(_LOOK)
    opener = _opener(start)
    if opener is None:
        return start
    with _readable(file), opener(file, "rb") as stream:
        return bytes(stream.read(_LOOK))


def _opener(start: bytes) -> Opener | None:
    return next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Tells what keeps a file from being read."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise PermanentSourceError(f"Cannot read {file}: it is damaged ({error}).", code="decompression") from error
    except OSError as error:
        raise PermanentSourceError(f"Cannot read {file}: {error.strerror or error}.", code="file_io") from error


def source_table(kind: str, target: str) -> dict[str, Any]:
    """The table that kasparro.toml would have for this target. A person typed the address: private hosts are fine."""
    table: dict[str, Any] = {"type": "http" if kind == "json" else kind}
    table["path" if kind == "csv" else "url"] = target
    return {**table, "allow_private_hosts": True} if is_address(target) else table


@dataclass(frozen=True)
class JsonFile:
    """A JSON file as a source of one batch. Implements `kasparro_core.ports.Source`."""

    name: str
    file: Path
    decoder: Decoder
    clock: Clock

    async def partitions(self) -> Sequence[str]:
        """The file is one whole."""
        return ("",)

    async def read(self, _partition: str, _context: ReadContext, /) -> AsyncIterator[Batch]:
        """The whole file, once. Raises PermanentSourceError when it cannot be read or is not JSON."""
        payload = self._bytes()
        raw = RawPayload(payload, {"format": "json", "records": None})
        decoded = self.decoder.decode(raw)
        facts = FetchFacts(self.clock.now(), url=str(self.file), bytes_fetched=len(payload))
        yield Batch({}, facts, raw, decoded.items, decoded.rejections)

    def _bytes(self) -> bytes:
        with _readable(self.file), self.file.open("rb") as packed:
            opener = _opener(packed.read(_LOOK))
        with _readable(self.file), (opener or open)(self.file, "rb") as stream:
            payload = bytes(stream.read(JSON_BYTES + 1))
        if len(payload) > JSON_BYTES:
            raise PermanentSourceError(f"{self.file} is larger than {JSON_BYTES:,} bytes.", code="too_large")
        return payload
