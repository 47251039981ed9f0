"""Repositories that tell by what they are asked for which source a unit of work serves."""

from __future__ import annotations

from datetime import datetime

from kasparro_adapters.chaos.connection import Connection
from kasparro_core.model.batch import Cursor
from kasparro_core.model.checkpoint import Checkpoint, Lease
from kasparro_core.ports.storage import CheckpointStore, LeaseStore


class WatchedLeases:
    """Implements LeaseStore around another."""

    def __init__(self, leases: LeaseStore, connection: Connection) -> None:
        self._leases = leases
        self._connection = connection

    async def get(self, source: str, partition: str, /) -> Lease | None:
        """As the repository inside does."""
        self._connection.use(source)
        return await self._leases.get(source, partition)

    async def take(self, source: str, partition: str, /, *, owner: str, ttl: float, seen: Lease | None) -> Lease:
        """As the repository inside does."""
        self._connection.use(source)
        return await self._leases.take(source, partition, owner=owner, ttl=ttl, seen=seen)

    async def renew(self, lease: Lease, /, *, ttl: float) -> Lease:
        """As the repository inside does."""
        self._connection.use(lease.source)
        return await self._leases.renew(lease, ttl=ttl)

    async def attach(self, lease: Lease, run_id: int, /) -> Lease:
        """As the repository inside does."""
        self._connection.use(lease.source)
        return await self._leases.attach(lease, run_id)

    async def release(self, lease: Lease, /) -> None:
        """As the repository inside does."""
        self._connection.use(lease.source)
        await self._leases.release(lease)


class WatchedCheckpoints:
    """Implements CheckpointStore around another."""

    def __init__(self, checkpoints: CheckpointStore, connection: Connection) -> None:
        self._checkpoints = checkpoints
        self._connection = connection

    async def get(self, source: str, partition: str, /) -> Checkpoint | None:
        """As the repository inside does."""
        self._connection.use(source)
        return await self._checkpoints.get(source, partition)

    async def save(
        self,
        source: str,
        partition: str,
        cursor: Cursor,
        /,
        *,
        expected_version: int,
        run_id: int | None,
        at: datetime,
    ) -> Checkpoint:
        """As the repository inside does."""
        self._connection.use(source)
        return await self._checkpoints.save(
            source, partition, cursor, expected_version=expected_version, run_id=run_id, at=at
        )

    async def list(self, source: str | None = None, /) -> list[Checkpoint]:
        """As the repository inside does."""
        self._connection.use(source or "")
        return await self._checkpoints.list(source)
