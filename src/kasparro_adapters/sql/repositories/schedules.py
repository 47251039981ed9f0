"""Schedules and their slots, by the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import schedule_slots, schedules
from kasparro_adapters.sql.session import Session
from kasparro_core.errors import ConflictError
from kasparro_core.model import ScheduleState, Slot, SlotState


class SqlSchedules:
    """The ScheduleStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def now(self) -> datetime:
        """The database's clock."""
        found: datetime = (await self._session.run(select(self._database.now()))).scalar_one()
        return found

    async def list(self) -> Sequence[ScheduleState]:
        """All schedules, by source."""
        return await self._states(select(schedules).order_by(schedules.c.source))

    async def get(self, source: str, /) -> ScheduleState | None:
        """One schedule, or None."""
        found = await self._states(select(schedules).where(schedules.c.source == source))
        return found[0] if found else None

    async def due(self) -> Sequence[ScheduleState]:
        """Those that may run, the longest waiting first."""
        table = schedules.c
        waiting = select(schedules).where(table.next_at <= self._database.now(), table.paused_at.is_(None))
        return await self._states(waiting.order_by(table.next_at, table.source))

    async def add(self, state: ScheduleState, /) -> bool:
        """Insert, unless there is one."""
        insert = self._database.insert(schedules).on_conflict_do_nothing().returning(schedules.c.source)
        return await self._session.first(insert.values(asdict(state))) is not None

    async def put(self, state: ScheduleState, /) -> None:
        """Change what the slots follow from."""
        await self._change(
            schedules.c.source == state.source, spec=state.spec, slot_at=state.slot_at, next_at=state.next_at
        )

    async def advance(self, seen: ScheduleState, /, *, slot_at: datetime | None, next_at: datetime | None) -> None:
        """Compare and set in one statement."""
        table = schedules.c
        as_seen = (
            (table.source == seen.source)
            & (table.spec == seen.spec)
            & table.slot_at.is_not_distinct_from(seen.slot_at)
            & table.next_at.is_not_distinct_from(seen.next_at)
            & table.paused_at.is_(None)
        )
        if not await self._change(as_seen, slot_at=slot_at, next_at=next_at):
            raise ConflictError(f"The schedule of source {seen.source!r} was moved on, changed or paused meanwhile.")

    async def pause(self, source: str, at: datetime | None, /) -> bool:
        """Pause, keeping an earlier instant, or go on."""
        since = None if at is None else func.coalesce(schedules.c.paused_at, at)
        return await self._change(schedules.c.source == source, paused_at=since)

    async def record(self, slots: Sequence[Slot], /) -> None:
        """Insert all of them, or find one noted. In the order of their key: two who note the same wait in line."""
        if not slots:
            return
        insert = self._database.insert(schedule_slots).on_conflict_do_nothing().returning(schedule_slots.c.slot_at)
        rows = [
            {**asdict(slot), "state": str(slot.state)} for slot in sorted(slots, key=attrgetter("source", "slot_at"))
        ]
        noted = (await self._session.run(insert, rows)).all()
        if len(noted) < len(rows):
            raise ConflictError(f"A slot of source {slots[0].source!r} is noted already.")

    async def slots(self, source: str, /, *, limit: int = 50) -> Sequence[Slot]:
        """The slots of a source, newest first."""
        table = schedule_slots.c
        newest = select(schedule_slots).where(table.source == source).order_by(table.slot_at.desc()).limit(limit)
        rows = await self._session.all(newest)
        return [Slot(**{**row._mapping, "state": SlotState(row.state)}) for row in rows]

    async def _states(self, statement: Select[Any]) -> Sequence[ScheduleState]:
        return [ScheduleState(**row._mapping) for row in await self._session.all(statement)]

    async def _change(self, which: ColumnElement[bool], **values: Any) -> bool:
        """False when there is no such row."""
        changed = update(schedules).where(which).values(values).returning(schedules.c.source)
        return await self._session.first(changed) is not None
