"""Rejections: items that could not become records, and notes on fields that could not be understood."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where an item failed. `drift`: its shape is none that was accepted. `field` marks a note: the item was kept, one
    value of it became null."""

    DECODE = "decode"
    NORMALIZE = "normalize"
    STORE = "store"
    DRIFT = "drift"
    FIELD = "field"


class RejectionState(StrEnum):
    """`open` until the item's key loads (`resolved`) or a person gives it up (`dropped`)."""

    OPEN = "open"
    RESOLVED = "resolved"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused item (or, with stage `field`, one refused value).

    `code` is a short stable word ("decimal_invalid"), `path` the field ("quotes.USD.price") or "line 17", `message` a
    sentence that says what was expected and found, `payload` the item (or value) as the source gave it: JSON values,
    or text where it could not be decoded. `key` is the record key if it is known, so that a later load resolves it.
    """

    stage: Stage
    code: str
    path: str
    message: str
    payload: Any
    index: int
    key: str | None = None

    @property
    def is_note(self) -> bool:
        """True for a field-level note, which is not counted in `rejected`."""
        return self.stage is Stage.FIELD


MAX_PATH_BYTES = 500
MAX_KEY_BYTES = 2_000
"""What a store indexes: paths (fields are named by the source) and keys of rejections must not fail a whole batch."""


def stored_path(path: str) -> str:
    """The path itself, or the beginning of a very long one with a hash that stands for all of it."""
    text = path.encode(errors="replace")
    if len(text) <= MAX_PATH_BYTES:
        return path
    return f"{path[:80]}... (blake2b {hashlib.blake2b(text, digest_size=16).hexdigest()})"


def stored_key(key: str | None) -> str | None:
    """The key, unless it is too long for a record that could ever load under it."""
    return None if key is None or len(key.encode(errors="replace")) > MAX_KEY_BYTES else key


@dataclass(frozen=True, slots=True)
class StoredRejection:
    """A rejection as the store holds it. `last_seen_at` is the instant of the newest observation that had it,
    `closed_at` that of the load or the decision which closed it last."""

    rejection_id: int
    source: str
    partition: str
    run_id: int
    raw_id: int | None
    raw_index: int
    stage: str
    code: str
    path: str
    message: str
    payload: str
    state: str
    times: int
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    key: str | None


@dataclass(frozen=True, slots=True)
class RejectionQuery:
    """Filters of a listing, newest first, with a rejection_id below `before`."""

    source: str | None = None
    state: str | None = None
    stage: str | None = None
    code: str | None = None
    before: int | None = None
    limit: int = 50


def rejection_json(rejection: Rejection) -> Mapping[str, Any]:
    """The public shape of a rejection that is not stored (preview)."""
    return {
        "stage": str(rejection.stage),
        "code": rejection.code,
        "path": rejection.path,
        "message": rejection.message,
        "index": rejection.index,
        "payload": rejection.payload,
    }
