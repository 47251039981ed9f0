"""The outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import outbox
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import EVENTS, change_counter
from kasparro_adapters.sql.types import storable_json
from kasparro_core.model import Event, EventType
from kasparro_core.normalize.canonical import canonical_json

_LAST = change_counter.c.last_seq
_OURS = change_counter.c.counter_id == EVENTS
_NEXT = update(change_counter).where(_OURS).values(last_seq=_LAST + 1).returning(_LAST)
_APPEND = insert(outbox)
_GIVEN = [column for column in outbox.c if column.name != "event_id"]
_APPEND_NEXT = insert(outbox).from_select(
    ["event_id", *(column.name for column in _GIVEN)],
    select(_NEXT.cte("next").c.last_seq, *(bindparam(column.name, type_=column.type) for column in _GIVEN)),
)


class SqlEvents:
    """The EventLog of one transaction."""

    def __init__(self, session: Session, _database: Database) -> None:
        self._session = session

    async def append(self, event: Event, /) -> None:
        """Take the next number, whose row stays locked until the commit, then insert: no id is ever visible before a
        lower one."""
        if self._session.dialect == "postgresql":
            await self._session.run(_APPEND_NEXT, _values(event))
        else:  # SQLite has no UPDATE inside of another statement
            event_id = (await self._session.run(_NEXT)).scalar_one()
            await self._session.run(_APPEND, {"event_id": event_id, **_values(event)})

    async def after(self, event_id: int, /, *, limit: int = 500) -> Sequence[Event]:
        """Events with a greater id."""
        statement = select(outbox).where(outbox.c.event_id > event_id).order_by(outbox.c.event_id).limit(limit)
        return [_event(row) for row in await self._session.all(statement)]

    async def last_id(self) -> int:
        """The highest number given out."""
        return int((await self._session.run(select(_LAST).where(_OURS))).scalar_one())


def _values(event: Event) -> dict[str, Any]:
    return {
        "type": str(event.type),
        "source": event.source,
        "run_id": event.run_id,
        "at": event.at,
        "data": canonical_json(storable_json(event.data)),
    }


def _event(row: Row[Any]) -> Event:
    return Event(EventType(row.type), row.source, row.run_id, row.at, row.data, row.event_id)
