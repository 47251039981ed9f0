"""Pruning: the oldest rows first, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, or_, select, tuple_, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.identity_tables import entity_mentions
from kasparro_adapters.sql.repositories.retention_shelves import SHELVES, Shelf, newest_read
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import checkpoints, raw_batches, records, run_batches
from kasparro_core.model import cursor_of
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.services.position import SLICE_KEY, held_payload

_AT_ONCE = 1000
"""Rows of one statement, however many are asked for: their keys are bound parameters."""

_READS = 10_000
"""Reads that one slice takes their payload from."""

_NOTHING = Bound(before=datetime.min.replace(tzinfo=UTC))


class SqlRetention:
    """The Retention of one transaction. On PostgreSQL it waits for nobody's rows: what another transaction holds is
    left for the next time, so that neither runs nor a second pruning are held up or caught in a deadlock."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._bulk = database.bulk(session)

    async def settle(self, what: Prunable, bound: Bound, /) -> Bound:
        """Sum up from the newest on; the first row that does not fit is the place."""
        if bound.max_bytes is None:
            return bound
        shelf = SHELVES[what]
        kept = func.sum(shelf.size(self._session.dialect)).over(order_by=(shelf.at.desc(), shelf.tie.desc()))
        columns = (shelf.at.label("at"), shelf.tie.label("tie"), kept.label("kept"))
        ranked = select(*columns).select_from(shelf.rows).where(*shelf.belongs).subquery()
        statement = select(ranked.c.at, ranked.c.tie).where(ranked.c.kept > bound.max_bytes)
        row = await self._session.first(statement.order_by(ranked.c.at.desc(), ranked.c.tie.desc()).limit(1))
        return _NOTHING if row is None else Bound(through=(row.at, row.tie))

    async def prune(self, what: Prunable, bound: Bound, /, *, limit: int = 1000) -> Pruned:
        """Delete up to `limit` of the oldest rows outside the bound."""
        bound = await self.settle(what, bound)
        rows, size = 0, 0
        while rows < limit:
            wanted = min(limit - rows, _AT_ONCE)
            gone = await self._prune_some(what, bound, wanted)
            rows, size = rows + gone.rows, size + gone.bytes
            if gone.rows < wanted:
                return Pruned(rows, size, gone.more)
        return Pruned(rows, size)

    async def prunable(self, what: Prunable, bound: Bound, /) -> Pruned:
        """How much `prune` would delete in all."""
        outside = (await self._outside(what, await self.settle(what, bound))).subquery()
        statement = select(func.count(), func.coalesce(func.sum(outside.c.size), 0)).select_from(outside)
        rows, size = tuple((await self._session.run(statement)).one())
        return Pruned(int(rows), int(size))

    async def _prune_some(self, what: Prunable, bound: Bound, limit: int) -> Pruned:
        rows = await self._chosen(what, bound, limit)
        if not rows:
            return Pruned()
        shelf = SHELVES[what]
        keys = [tuple(row)[:-1] for row in rows]
        if what is Prunable.RAW and await self._is_much_read([key[0] for key in keys]):
            return Pruned(more=True)
        await self._let_go(what, shelf, [key[0] for key in keys])
        await self._session.run(delete(shelf.table).where(_among(shelf.key, keys)))
        return Pruned(len(rows), sum(int(row.size) for row in rows))

    async def _chosen(self, what: Prunable, bound: Bound, limit: int) -> Sequence[Row[Any]]:
        """Lock the rows that may go, and of some kinds look again: what has come to need them before the lock was ours
        is seen only now."""
        shelf = SHELVES[what]
        outside = (await self._outside(what, bound)).order_by(shelf.at, shelf.tie).limit(limit)
        if what is Prunable.RECORDS and await self._session.first(outside) is not None:
            await self._bulk.claim(1)  # an upsert that has planned with these records plans again
        rows = await self._session.all(outside.with_for_update(of=shelf.table, skip_locked=True))
        if what is Prunable.RAW and rows:
            still = await self._outside(what, bound)
            rows = await self._session.all(still.where(_among(shelf.key, [tuple(row)[:-1] for row in rows])))
        return rows

    async def _let_go(self, what: Prunable, shelf: Shelf, ids: Sequence[Any]) -> None:
        """What hangs on the rows goes with them, or forgets them."""
        if what is Prunable.RAW:
            await self._session.run(update(run_batches).where(run_batches.c.raw_id.in_(ids)).values(raw_id=None))
        if what is Prunable.RECORDS:
            pruned = select(records.c.source, records.c.key).where(records.c.record_id.in_(ids))
            speaking = tuple_(entity_mentions.c.source, entity_mentions.c.key)
            await self._session.run(delete(entity_mentions).where(speaking.in_(pruned)))
        for part in shelf.parts:
            await self._session.run(delete(part.table).where(part.owner.in_(ids)))

    async def _is_much_read(self, payloads: Sequence[int]) -> bool:
        """Take some of the older reads off payloads that have more of them than one statement may change: those of a
        source that says the same for months. Their newest reads tell how old they are, and stay until the end."""
        read = run_batches.c
        older = select(read.read_id).where(read.raw_id.in_(payloads), read.read_id != newest_read(read.raw_id))
        some = read.read_id.in_(older.limit(_READS))
        changed = await self._session.run(update(run_batches).where(some).values(raw_id=None))
        return int(changed.rowcount) == _READS

    async def _outside(self, what: Prunable, bound: Bound) -> Select[Any]:
        """The key and the size of everything outside the bound that nothing needs."""
        shelf = SHELVES[what]
        size = shelf.size(self._session.dialect).label("size")
        statement = select(*shelf.key, size).select_from(shelf.rows).where(_is_older(shelf, bound))
        if what is Prunable.RAW:
            statement = statement.where(raw_batches.c.raw_id.not_in(await self._held()))
        return statement.where(*shelf.belongs, *shelf.free)

    async def _held(self) -> list[int]:
        """The payloads that checkpoints point into: few, those of runs under way or broken off."""
        table = checkpoints.c
        rows = await self._session.all(select(table.cursor).where(table.cursor.contains(SLICE_KEY)))
        return [raw_id for row in rows if (raw_id := held_payload(cursor_of(row.cursor))) is not None]


def _is_older(shelf: Shelf, bound: Bound) -> ColumnElement[bool]:
    if bound.through is not None:
        at, tie = bound.through
        return and_(shelf.at <= at, or_(shelf.at < at, shelf.tie <= tie))
    return shelf.at < bound.before


def _among(key: Sequence[ColumnElement[Any]], values: Sequence[tuple[Any, ...]]) -> ColumnElement[bool]:
    if len(key) == 1:
        return key[0].in_([value[0] for value in values])
    return tuple_(*key).in_(values)
