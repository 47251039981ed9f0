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


@dataclass(frozen=True, slots=True)
class PartitionState:
    """How a partition did last: `state` is "ok" or "failed"; `url` where a feed has moved to."""

    source: str
    partition: str
    state: str = "ok"
    last_error: str | None = None
    next_at: datetime | None = None
    url: str | None = None


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
