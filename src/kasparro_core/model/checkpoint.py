"""Checkpoints, partitions and leases: positions and who may move them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kasparro_core.model.batch import Cursor


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The persisted cursor of one partition. `version` grows by one with each save and guards it (compare-and-set)."""

    source: str
    partition: str
    cursor: Cursor
    version: int
    run_id: int | None
    updated_at: datetime


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
