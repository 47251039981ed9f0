"""Delete what is older, or more, than is to be kept: in slices, each a unit of work of its own, so that runs and
readers never wait for long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.ports import Clock, Store
from kasparro_core.services.steps import retried

Keep = timedelta | int
"""How much to keep: an age, or a number of bytes."""

OWN: Mapping[Prunable, timedelta] = {
    Prunable.EVENTS: timedelta(days=7),
    Prunable.ANSWERS: timedelta(hours=24),
    Prunable.SLOTS: timedelta(days=30),
}
"""What is kept of the service's own things, whatever is configured."""

_ORDER = (
    Prunable.RECORDS,
    Prunable.VERSIONS,
    Prunable.RESOLVED_REJECTIONS,
    Prunable.CLOSED_ANOMALIES,
    Prunable.RAW,
    Prunable.RUNS,  # after the payloads, which keep their runs
    *OWN,
)
_SLICE = 500
_PAUSE = 0.05
"""Seconds between two slices, in which other processes get their turn to write."""


class Pruner:
    """Prunes one store. Any number of them may work at the same time, beside runs."""

    def __init__(self, store: Store, clock: Clock, *, slice_rows: int = _SLICE) -> None:
        self._store = store
        self._clock = clock
        self._slice_rows = slice_rows

    async def prune(self, policy: Mapping[Prunable, Keep], *, dry_run: bool = False) -> Mapping[Prunable, Pruned]:
        """Prune what the policy names, and the service's own things; return what went of each, in the order in which it
        was done. What the policy does not name is kept for ever.

        With `dry_run` nothing is deleted, and each kind is looked at as it stands now: a run that only its payloads
        keep is not counted, although it would go after them. Raises StorageError; what was deleted before stays
        deleted.
        """
        wanted: dict[Prunable, Keep] = {**policy, **OWN}
        one = self._look if dry_run else self._prune
        return {what: await one(what, self._bound(wanted[what])) for what in _ORDER if what in wanted}

    def _bound(self, keep: Keep) -> Bound:
        if isinstance(keep, timedelta):
            now = self._clock.now()
            age = min(keep, now - datetime.min.replace(tzinfo=UTC))
            return Bound(before=now - age)
        return Bound(max_bytes=keep)

    async def _look(self, what: Prunable, bound: Bound) -> Pruned:
        async with self._store.begin(write=False) as work:
            return await work.retention.prunable(what, bound)

    async def _prune(self, what: Prunable, bound: Bound) -> Pruned:
        bound = await retried(self._clock, lambda: self._settled(what, bound))
        rows, size = 0, 0
        while True:
            gone = await retried(self._clock, lambda: self._prune_slice(what, bound))
            rows, size = rows + gone.rows, size + gone.bytes
            if gone.rows < self._slice_rows and not gone.more:
                return Pruned(rows, size)
            await self._clock.sleep(_PAUSE)

    async def _settled(self, what: Prunable, bound: Bound) -> Bound:
        async with self._store.begin(write=False) as work:
            return await work.retention.settle(what, bound)

    async def _prune_slice(self, what: Prunable, bound: Bound) -> Pruned:
        async with self._store.begin() as work:
            gone = await work.retention.prune(what, bound, limit=self._slice_rows)
            if gone != Pruned():
                await work.commit()
        return gone
