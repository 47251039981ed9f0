"""Refused items and noted values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, case, exists, select, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.repositories.totals import SqlTotals
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import OPEN_WITH_KEY, rejections
from kasparro_adapters.sql.types import storable
from kasparro_core.model import Rejection, RejectionQuery, RejectionState, StoredRejection
from kasparro_core.model.rejection import stored_key, stored_path
from kasparro_core.model.totals import amounts_of_rejections
from kasparro_core.normalize.canonical import canonical_json

_COLUMNS = tuple(column for column in rejections.c if column.name != "payload_hash")
_IDENTITY = ("source", "partition", "stage", "code", "path", "payload_hash")
_REOPENED = ("state", "run_id", "raw_id", "raw_index")
"""What a rejection that opens again takes from the new one: its first payload may be pruned by now."""

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
        """Insert each, or let the known one grow, and count them (leave it, and count nothing, without `again`)."""
        if not refused:
            return
        insert = self._database.insert(rejections)
        if again:
            reopened = rejections.c.state == str(RejectionState.RESOLVED)
            changed = {name: case((reopened, insert.excluded[name]), else_=rejections.c[name]) for name in _REOPENED}
            statement = insert.on_conflict_do_update(
                index_elements=_IDENTITY, set_={"times": rejections.c.times + 1, **changed}
            )
        else:
            statement = insert.on_conflict_do_nothing(index_elements=_IDENTITY)
        common = {"source": source, "partition": partition, "run_id": run_id, "raw_id": raw_id, "first_seen_at": at}
        await self._session.run(statement, [{**common, **_values(rejection)} for rejection in refused])
        if again:
            await self._totals.add(source, amounts_of_rejections(refused))

    async def resolve(self, source: str, keys: Sequence[str], /) -> int:
        """One cheap look where nothing is open, one UPDATE where something is."""
        if not keys or not (await self._session.run(_ANY_OPEN, {"of_source": source})).scalar_one():
            return 0
        open_here = (rejections.c.source == source) & OPEN_WITH_KEY
        with_key = self._database.among(rejections.c.key, [storable(key) for key in keys])
        statement = update(rejections).where(open_here, with_key).values(state=str(RejectionState.RESOLVED))
        return int((await self._session.run(statement)).rowcount)

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
