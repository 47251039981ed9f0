"""Checkpoints, partitions and leases: positions and who may move them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from kasparro_core.model.batch import Cursor

UNREADABLE_KEY = "$unreadable"
"""The key of a cursor that stands for a stored text which is no JSON object."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The persisted cursor of one partition. `version` grows by one with each save and guards it (compare-and-set)."""

    source: str
    partition: str
    cursor: Cursor
    version: int
    run_id: int | None
    updated_at: datetime


def cursor_of(stored: str | bytes) -> Cursor:
    """The cursor that a store keeps as text. Never fails: what is no JSON object (somebody edited it) comes as
    `{"$unreadable": text}`, which no source goes on from, and which can still be shown and reset."""
    try:
        cursor = json.loads(stored, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        cursor = None
    if isinstance(cursor, dict):
        return cursor
    return {UNREADABLE_KEY: stored if isinstance(stored, str) else stored.decode(errors="replace")}


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError(f"{text} has no place among numbers")
    return number


GONE = "gone"
"""The state of a partition whose origin was taken down for good."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """How a partition did last, and what its origin asks for.

    `state` is "ok", "failed", or "gone": timed runs leave it alone until a run by hand finds it again. `next_at`: timed
    runs leave it alone before that instant; `quiet`: in those hours and days (see `Quiet` in `kasparro_core.policy`).
    `url`: the address that a feed has moved to. `origin` is a fingerprint of the configured address; where that is
    another one now, "gone", `next_at`, `quiet` and `url` mean nothing any more. `gaps` counts how often everything in
    the document was new, so that what came in between may be lost; `gap_at` is when that was seen last. `listing` is
    what the records were last compared with (see `kasparro_core.services.gone`).
    """

    source: str
    partition: str
    state: str = "ok"
    last_error: str | None = None
    next_at: datetime | None = None
    url: str | None = None
    origin: str | None = None
    quiet: str | None = None
    gaps: int = 0
    gap_at: datetime | None = None
    listing: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Ownership of a source's (or partition's) right to write, until `expires_at` by the database's clock.

    `token` is the fencing token: it grows with each takeover, and every commit of the owner checks it. `owner` names
    the process handle that dies with its process. `run_id` is the run that holds it.
    """

    source: str
    partition: str
    owner: str
    token: int
    run_id: int | None
    expires_at: datetime
    expired: bool = False
