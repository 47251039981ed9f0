"""Raw payloads: the exact bytes that a source sent, kept compressed and once per content."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kasparro_core.model.listing import Extent

CODEC_ZLIB = "zlib"
_LEVEL = 1  # level 1 costs 4 µs a record and already saves five sixths of market JSON


@dataclass(frozen=True, slots=True)
class RawPayload:
    """Bytes after transfer and file decompression, and the facts that suffice to decode them again.

    `decode_facts` is a JSON object whose `format` names a Decoder ("json", "csv", "feed"); the rest is for that
    decoder alone (array path, encoding, delimiter, header, first line, base URL ...).
    """

    payload: bytes
    decode_facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PackedPayload:
    """A payload ready to be stored. `content_hash` is the SHA-256 of the uncompressed bytes, hexadecimal."""

    content_hash: str
    codec: str
    packed: bytes
    decode_facts: str
    facts_hash: str
    record_count: int

    @property
    def identity(self) -> str:
        """What tells it from every other payload of its partition; see `payload_identity`."""
        return f"{self.content_hash}:{self.facts_hash}"


@dataclass(frozen=True, slots=True)
class StoredRaw:
    """A payload read back from the store."""

    raw_id: int
    source: str
    partition: str
    content_hash: str
    raw: RawPayload
    record_count: int


@dataclass(frozen=True, slots=True)
class BatchRead:
    """One row of `run_batches`: a read of a run, in order. `raw_id` is None for a read without a body (304);
    `read_id` is the store's own, growing in commit order (0 until it is stored). `refused` counts the items that were
    refused and the values that were noted (None: read by a version that did not count them). `extent` and `same_as` are
    those of its batch."""

    run_id: int
    partition: str
    seq: int
    raw_id: int | None
    url: str | None
    status: int | None
    observed_at: datetime
    read_id: int = 0
    refused: int | None = 0
    extent: Extent = Extent.PART
    same_as: str | None = None


def pack(raw: RawPayload, record_count: int) -> PackedPayload:
    """Hash and compress a payload. Pure and CPU-bound: call it in a worker thread."""
    facts = _written(raw.decode_facts)
    return PackedPayload(
        content_hash=hashlib.sha256(raw.payload).hexdigest(),
        codec=CODEC_ZLIB,
        packed=zlib.compress(raw.payload, _LEVEL),
        decode_facts=facts,
        facts_hash=_facts_hash(facts),
        record_count=record_count,
    )


def payload_identity(content_hash: str, decode_facts: Mapping[str, Any]) -> str:
    """What a payload is known by among those of its partition: its bytes (their SHA-256), and how they are read."""
    return f"{content_hash}:{_facts_hash(_written(decode_facts))}"


def _written(decode_facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(decode_facts), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _facts_hash(written: str) -> str:
    return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()


def unpack(codec: str, packed: bytes) -> bytes:
    """The exact bytes of a stored payload. Raises ValueError for a codec this version does not know."""
    if codec != CODEC_ZLIB:
        raise ValueError(f"unknown codec {codec!r} of a stored payload; this version reads {CODEC_ZLIB!r}")
    return zlib.decompress(packed)
