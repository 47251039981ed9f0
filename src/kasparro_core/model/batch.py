"""Batches: what one read of a source yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kasparro_core.model.listing import Extent
from kasparro_core.model.raw import RawPayload
from kasparro_core.model.record import RawRecord
from kasparro_core.model.rejection import Rejection

Cursor = Mapping[str, Any]
"""An opaque JSON object: a position that its source alone understands."""

SLICE_ROWS = 10_000
"""A payload with more items is committed in slices of this many, which share one raw_id."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a Decoder makes of a payload: its items, and the places that could not be decoded."""

    items: Sequence[RawRecord]
    rejections: Sequence[Rejection] = ()


@dataclass(frozen=True, slots=True)
class FetchFacts:
    """How a read went. `url` never holds a secret; `bytes_fetched` counts bytes on the wire (or of the file).

    `retry_reasons` tells the retries apart ("429", "5xx", "timeout", "connection" ...); its counts add up to `retries`.
    `took`: of each request that was answered, the seconds from sending it to the last byte of its answer.
    """

    observed_at: datetime
    url: str | None = None
    status: int | None = None
    bytes_fetched: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    retry_reasons: Mapping[str, int] = field(default_factory=dict)
    took: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Validator:
    """What makes the next request for the same thing conditional, or its answer be recognized; written with its page's
    data.

    `request_hash` identifies request and reading rules (not host and port); `item_count` and `next` let a paginator
    go on after a 304 without the body. `body_hash` (SHA-256, hexadecimal) recognizes a body where the upstream knows no
    conditional requests. `cache_control` and `expires` are the headers as they came (RFC 9111 5.2, 5.3). `refused` is
    how many of the items were; a body that is known is looked at again where any was.
    """

    request_hash: str
    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None
    item_count: int = 0
    next: str | None = None
    cache_control: str | None = None
    expires: str | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True)
class PartitionNews:
    """What a read learned about its origin beside the items. The fields are those of `PartitionState`.

    `gap`: how many items the document holds, where none of them was in the one that was read before (0: no gap).
    """

    next_at: datetime | None = None
    url: str | None = None
    quiet: str | None = None
    gap: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One read: payload, items, and the cursor that holds once they are committed.

    `raw` is None when nothing new was received (304, a known body, unchanged file, end of a walk). `outdated` names the
    request_hashes of validators that nobody will ask with again. `items` and `rejections` are exactly
    what the Decoder named in `raw.decode_facts` yields for `raw.payload`. `extent` is where it stands in a listing of
    everything that the source has; there, a batch without payload says what it is the `same_as`: the
    `payload_identity` of a stored payload, or NOTHING (None: not known). `known` is how many items came again in bytes
    that are known: they are not in `items`, and count as fetched and unchanged. `bare`: it brought nothing because
    there is nothing, as what is known of the answer that did not come again (a 304) says.
    """

    cursor: Cursor
    fetch: FetchFacts
    raw: RawPayload | None = None
    items: Sequence[RawRecord] = ()
    rejections: Sequence[Rejection] = ()
    validators: Sequence[Validator] = field(default=())
    outdated: Sequence[str] = ()
    news: PartitionNews | None = None
    extent: Extent = Extent.PART
    same_as: str | None = None
    known: int = 0
    bare: bool = False
