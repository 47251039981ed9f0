"""What a run saw of its source as a whole: whether anything of it was left out, and how new the newest item was."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from kasparro_core.model import NOTHING, Batch
from kasparro_core.services.prepare import PreparedBatch

AHEAD = timedelta(days=1)
"""An item that lies further ahead of its observation says nothing about how new the source is: it is a forecast, or a
mistake that would hide for years that nothing new comes."""

_NOT_MODIFIED = 304


class Glance:
    """Counts along with a run. `saw` may be called by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: set[str] = set()
        self._held_back = False
        self.newest: datetime | None = None

    def saw(self, partition: str, batch: Batch, prepared: PreparedBatch) -> None:
        """Take note of a batch, as it was read and as it was prepared."""
        newest = _newest(prepared, batch.fetch.observed_at + AHEAD)
        with self._lock:
            self._seen.add(partition)
            self._held_back |= _is_held_back(batch)
            if newest is not None:
                self.newest = newest if self.newest is None else max(self.newest, newest)

    def is_whole(self, partitions: set[str]) -> bool:
        """Whether something was read of each of these partitions, and nothing of them was as it had been before: what
        does not come again is not counted."""
        return not self._held_back and partitions <= self._seen


def _is_held_back(batch: Batch) -> bool:
    """Whether it stands for something that did not come because it is known: a 304, or the same document as before.
    That nothing came because there is nothing is something else, also where a 304 says so: of the empty page behind the
    last one of a list."""
    if batch.raw is not None or batch.known or batch.bare:
        return False
    return batch.fetch.status == _NOT_MODIFIED or batch.same_as != NOTHING


def _newest(prepared: PreparedBatch, most: datetime) -> datetime | None:
    times = (each.record.occurred_at for part in prepared.slices for each in part.records)
    return max((at for at in times if at is not None and at <= most), default=None)
