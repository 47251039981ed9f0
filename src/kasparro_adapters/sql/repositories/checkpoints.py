"""Positions, guarded by compare-and-set."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import checkpoints
from kasparro_core.errors import ConflictError
from kasparro_core.model import Checkpoint, Cursor, cursor_of

_MOVE = (
    update(checkpoints)
    .where(*(checkpoints.c[name] == bindparam(f"of_{name}") for name in ("source", "partition", "version")))
    .values(
        cursor=bindparam("new_cursor"),
        version=bindparam("new_version"),
        run_id=bindparam("new_run"),
        updated_at=bindparam("new_at"),
    )
    .returning(checkpoints)
)
"""Made once: every commit runs it, and to put it together costs more than to send it."""


class SqlCheckpoints:
    """The CheckpointStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def get(self, source: str, partition: str, /) -> Checkpoint | None:
        """The checkpoint, or None."""
        table = checkpoints.c
        row = await self._session.first(select(checkpoints).where(table.source == source, table.partition == partition))
        return None if row is None else _checkpoint(row)

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
        """Insert version 1, or move the expected version one further."""
        text, version = json.dumps(dict(cursor)), expected_version + 1
        if expected_version == 0:
            insert = self._database.insert(checkpoints).values(
                source=source, partition=partition, cursor=text, version=version, run_id=run_id, updated_at=at
            )
            row = await self._session.first(insert.on_conflict_do_nothing().returning(checkpoints))
        else:
            seen = {"of_source": source, "of_partition": partition, "of_version": expected_version}
            new = {"new_cursor": text, "new_version": version, "new_run": run_id, "new_at": at}
            row = (await self._session.run(_MOVE, {**seen, **new})).first()
        if row is None:
            raise ConflictError(
                f"The checkpoint of source {source!r}, partition {partition!r} is not at version {expected_version}"
                " any more: another owner moved it."
            )
        return _checkpoint(row)

    async def list(self, source: str | None = None, /) -> list[Checkpoint]:
        """All checkpoints by source and partition."""
        statement = select(checkpoints).order_by(checkpoints.c.source, checkpoints.c.partition)
        if source is not None:
            statement = statement.where(checkpoints.c.source == source)
        return [_checkpoint(row) for row in await self._session.all(statement)]


def _checkpoint(row: Row[Any]) -> Checkpoint:
    return Checkpoint(
        source=row.source,
        partition=row.partition,
        cursor=cursor_of(row.cursor),
        version=row.version,
        run_id=row.run_id,
        updated_at=row.updated_at,
    )
