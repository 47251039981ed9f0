"""Refused items and noted values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, bindparam, case, exists, func, null, select, update

from kasparro_adapters.sql.database import Database, made_once
from kasparro_adapters.sql.repositories.totals import SqlTotals
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import OPEN_WITH_KEY, OPEN_WITH_PAYLOAD, rejections
from kasparro_adapters.sql.types import storable
from kasparro_core.model import Rejection, RejectionQuery, RejectionState, StoredRejection
from kasparro_core.model.rejection import stored_key, stored_path
from kasparro_core.model.totals import amounts_of_rejections
from kasparro_core.normalize.canonical import canonical_json

_last_seen: ColumnElement[datetime] = func.coalesce(rejections.c.last_seen_at, rejections.c.first_seen_at)
"""A process of the version before, still at work on the schema of this one, leaves `last_seen_at` empty."""

_COLUMNS = (
    *(column for column in rejections.c if column.name not in {"payload_hash", "last_seen_at"}),
    _last_seen.label("last_seen_at"),
)
_IDENTITY = ("source", "partition", "stage", "code", "path", "payload_hash")
_RESOLVED = str(RejectionState.RESOLVED)
_TOLD_BY = (rejections.c.stage, rejections.c.code, rejections.c.path, rejections.c.payload_hash)
_REOPENED = ("state", "run_id", "raw_id", "raw_index")
"""What a rejection that opens again takes from the new one: its first payload may be pruned by now."""

_AT_ONCE = 1000
"""Ids of one statement: they are bound parameters."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_ANY_OPEN = select(exists().where(rejections.c.source == bindparam("of_source"), OPEN_WITH_KEY))


class SqlRejections:
    """The RejectionStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database
        self._totals = SqlTotals(session, database)

    async def add(
        self,
        source: str,
        partition: str,
        run_id: int,
        raw_id: int | None,
        refused: Sequence[Rejection],
        at: datetime,
        /,
        *,
        again: bool = True,
    ) -> None:
        """Insert each, or let the known one grow, and count them (count nothing without `again`)."""
        if not refused:
            return
        common = {
            "source": source, "partition": partition, "run_id": run_id, "raw_id": raw_id, "first_seen_at": at,
            "last_seen_at": at,
        }  # fmt: skip
        statement = (_seen_again if again else _replayed)(self._database)
        await self._session.run(statement, [{**common, **_values(rejection)} for rejection in refused])
        if again:
            await self._totals.add(source, amounts_of_rejections(refused))

    async def resolve(self, source: str, keys: Sequence[str], at: datetime, /, *, again: bool = True) -> int:
        """One cheap look where nothing is open, one UPDATE where something is."""
        if not keys or not (await self._session.run(_ANY_OPEN, {"of_source": source})).scalar_one():
            return 0
        open_here = (rejections.c.source == source) & OPEN_WITH_KEY
        with_key = self._database.among(rejections.c.key, [storable(key) for key in keys])
        statement = update(rejections).where(open_here, with_key).values(state=_RESOLVED, closed_at=at)
        if not again:
            statement = statement.where(_last_seen <= at)
        return int((await self._session.run(statement)).rowcount)

    async def settle(self, raw_id: int, items: Collection[int], still: Sequence[Rejection], /) -> int:
        """Look at the few that point there, and close those that are over."""
        if not items:
            return 0
        table = rejections.c
        here = (table.raw_id == raw_id) & table.raw_index.between(min(items), max(items))
        columns = (table.rejection_id, table.raw_index, *_TOLD_BY)
        rows = await self._session.all(select(*columns).where(OPEN_WITH_PAYLOAD, here))
        if not rows:
            return 0
        known = {tuple(_values(rejection)[column.name] for column in _TOLD_BY) for rejection in still}
        over = [row.rejection_id for row in rows if row.raw_index in items and tuple(row)[2:] not in known]
        return await self._close(over, _RESOLVED, _last_seen)

    async def drop(self, ids: Sequence[int], at: datetime, /) -> int:
        """Close those that are open."""
        return await self._close(ids, str(RejectionState.DROPPED), at)

    async def _close(self, ids: Sequence[int], state: str, at: datetime | ColumnElement[datetime]) -> int:
        closed = 0
        for start in range(0, len(ids), _AT_ONCE):
            wanted = rejections.c.rejection_id.in_(ids[start : start + _AT_ONCE])
            is_open = rejections.c.state == str(RejectionState.OPEN)
            statement = update(rejections).where(wanted, is_open).values(state=state, closed_at=at)
            closed += int((await self._session.run(statement)).rowcount)
        return closed

    async def get(self, rejection_id: int, /) -> StoredRejection | None:
        """One rejection, or None."""
        row = await self._session.first(select(*_COLUMNS).where(rejections.c.rejection_id == rejection_id))
        return None if row is None else _stored(row)

    async def list(self, query: RejectionQuery, /) -> list[StoredRejection]:
        """Rejections, newest first."""
        statement = select(*_COLUMNS).order_by(rejections.c.rejection_id.desc()).limit(query.limit)
        for name in ("source", "state", "stage", "code"):
            wanted = getattr(query, name)
            if wanted is not None:
                statement = statement.where(rejections.c[name] == str(wanted))
        if query.before is not None:
            statement = statement.where(rejections.c.rejection_id < query.before)
        return [_stored(row) for row in await self._session.all(statement)]


@made_once
def _seen_again(database: Database) -> Executable:
    """A known one grows, and opens again if it was resolved. Made once: to put it together costs more than running."""
    insert = database.insert(rejections)
    reopened = rejections.c.state == _RESOLVED
    changed = {"times": rejections.c.times + 1, **_moved(insert.excluded, reopened)}
    return insert.on_conflict_do_update(index_elements=_IDENTITY, set_=changed)


@made_once
def _replayed(database: Database) -> Executable:
    """A known one opens again if what resolved it was there before; most stay as they are."""
    insert = database.insert(rejections)
    later = insert.excluded.last_seen_at
    reopened = (rejections.c.state == _RESOLVED) & (rejections.c.closed_at < later)
    return insert.on_conflict_do_update(
        index_elements=_IDENTITY,
        set_=_moved(insert.excluded, reopened),
        where=reopened | (_last_seen < later),
    )


def _moved(new: Any, reopened: ColumnElement[bool]) -> dict[str, Any]:
    """What another sighting changes."""
    table = rejections.c
    return {
        **{name: case((reopened, new[name]), else_=table[name]) for name in _REOPENED},
        "closed_at": case((reopened, null()), else_=table.closed_at),
        "last_seen_at": case((_last_seen < new.last_seen_at, new.last_seen_at), else_=_last_seen),
    }


def _values(rejection: Rejection) -> dict[str, Any]:
    # JSON has an escape for a lone surrogate, which no database stores as a character.
    payload = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", canonical_json(rejection.payload))
    return {
        "raw_index": rejection.index,
        "stage": str(rejection.stage),
        "code": rejection.code,
        "path": stored_path(rejection.path),
        "message": rejection.message,
        "payload": payload,
        "payload_hash": hashlib.sha256(payload.encode()).hexdigest(),
        "state": str(RejectionState.OPEN),
        "times": 1,
        "key": stored_key(rejection.key),
    }


def _stored(row: Row[Any]) -> StoredRejection:
    return StoredRejection(**row._mapping)
