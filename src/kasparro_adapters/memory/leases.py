"""Leases in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.errors import ConflictError
from kasparro_core.model import Lease


class MemoryLeases:
    """The LeaseStore of a memory store; `now` is what a database's own clock is elsewhere."""

    def __init__(self, transaction: Transaction, now: Callable[[], datetime]) -> None:
        self._tx = transaction
        self._now = now

    async def get(self, source: str, partition: str, /) -> Lease | None:
        """The lease as it stands now, or None."""
        stored = self._tx.leases.get((source, partition))
        return None if stored is None else self._judged(stored)

    async def take(self, source: str, partition: str, /, *, owner: str, ttl: float, seen: Lease | None) -> Lease:
        """Make `owner` the holder if nothing has changed since."""
        stored = self._tx.leases.get((source, partition))
        token = 0 if stored is None else stored.token
        if (stored and (token, stored.expires_at)) != (seen and (seen.token, seen.expires_at)):
            raise _lost(source, partition, 0 if seen is None else seen.token, token)
        return self._put(Lease(source, partition, owner, token + 1, None, self._until(ttl)))

    async def renew(self, lease: Lease, /, *, ttl: float) -> Lease:
        """Check the fence and extend."""
        return self._put(replace(self._held(lease), expires_at=self._until(ttl)))

    async def attach(self, lease: Lease, run_id: int, /) -> Lease:
        """Note the run that holds the lease; a lost lease is a conflict here too."""
        return self._put(replace(self._held(lease), run_id=run_id))

    async def release(self, lease: Lease, /) -> None:
        """Give it up; the row stays so that tokens keep growing."""
        stored = self._tx.leases.get((lease.source, lease.partition))
        if stored is not None and stored.token == lease.token:
            self._put(replace(stored, run_id=None, expires_at=self._now()))

    def _held(self, lease: Lease) -> Lease:
        stored = self._tx.leases.get((lease.source, lease.partition))
        if stored is None or stored.token != lease.token:
            raise _lost(lease.source, lease.partition, lease.token, 0 if stored is None else stored.token)
        return stored

    def _put(self, lease: Lease) -> Lease:
        self._tx.leases.put((lease.source, lease.partition), lease)
        return self._judged(lease)

    def _judged(self, lease: Lease) -> Lease:
        return replace(lease, expired=lease.expires_at <= self._now())

    def _until(self, ttl: float) -> datetime:
        return self._now() + timedelta(seconds=ttl)


def _lost(source: str, partition: str, expected: int, found: int) -> ConflictError:
    return ConflictError(
        f"the lease of {source!r}, partition {partition!r}, was expected with token {expected}, "
        f"but it was renewed or moved: it has token {found}."
    )
