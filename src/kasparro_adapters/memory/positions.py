"""Checkpoints, partition states and validators in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.errors import ConflictError
from kasparro_core.model import Checkpoint, Cursor, PartitionState, Validator

_by_name = attrgetter("source", "partition")


class MemoryCheckpoints:
    """The CheckpointStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, source: str, partition: str, /) -> Checkpoint | None:
        """The checkpoint, or None. Its cursor is the caller's own copy."""
        stored = self._tx.checkpoints.get((source, partition))
        return None if stored is None else _copy(stored)

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
        """Replace the cursor if the version is the expected one."""
        stored = self._tx.checkpoints.get((source, partition))
        version = 0 if stored is None else stored.version
        if version != expected_version:
            raise ConflictError(
                f"the checkpoint of {source!r}, partition {partition!r}, was expected at version {expected_version}, "
                f"but another run moved it to {version}."
            )
        saved = _copy(Checkpoint(source, partition, cursor, version + 1, run_id, at.astimezone(UTC)))
        self._tx.checkpoints.put((source, partition), saved)
        return _copy(saved)

    async def list(self, source: str | None = None, /) -> list[Checkpoint]:
        """All checkpoints by source and partition."""
        rows = [_copy(row) for row in self._tx.checkpoints.rows() if source in (None, row.source)]
        return sorted(rows, key=_by_name)


class MemoryPartitions:
    """The PartitionStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def save(self, state: PartitionState, /) -> None:
        """Insert or replace."""
        next_at = None if state.next_at is None else state.next_at.astimezone(UTC)
        self._tx.partitions.put((state.source, state.partition), replace(state, next_at=next_at))

    async def list(self, source: str | None = None, /) -> list[PartitionState]:
        """All partitions by source and name."""
        return sorted((row for row in self._tx.partitions.rows() if source in (None, row.source)), key=_by_name)


class MemoryValidators:
    """The ValidatorStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def load(self, source: str, partition: str, /) -> Mapping[str, Validator]:
        """All validators of a partition by request_hash."""
        return dict(self._tx.validators.get((source, partition)) or {})

    async def save(self, source: str, partition: str, validators: Sequence[Validator], /) -> None:
        """Insert or replace by request_hash."""
        known = self._tx.validators.get((source, partition)) or {}
        new = {validator.request_hash: validator for validator in validators}
        self._tx.validators.put((source, partition), {**known, **new})

    async def forget(self, source: str, partition: str, requests: Sequence[str] | None = None, /) -> int:
        """Remove those of these requests, or all of a partition."""
        known = self._tx.validators.get((source, partition)) or {}
        kept = {} if requests is None else {key: each for key, each in known.items() if key not in set(requests)}
        if kept:
            self._tx.validators.put((source, partition), kept)
        else:
            self._tx.validators.delete((source, partition))
        return len(known) - len(kept)


def _copy(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with a cursor that went through JSON, as every cursor does on its way to a database."""
    return replace(checkpoint, cursor=json.loads(json.dumps(checkpoint.cursor)))
