"""Schedules and their slots in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.errors import ConflictError
from kasparro_core.model import ScheduleState, Slot


class MemorySchedules:
    """The ScheduleStore of a memory store; `now` is what a database's own clock is elsewhere."""

    def __init__(self, transaction: Transaction, now: Callable[[], datetime]) -> None:
        self._tx = transaction
        self._now = now

    async def now(self) -> datetime:
        """The store's clock."""
        return self._now()

    async def list(self) -> Sequence[ScheduleState]:
        """All schedules, by source."""
        return sorted(self._tx.schedules.rows(), key=attrgetter("source"))

    async def get(self, source: str, /) -> ScheduleState | None:
        """One schedule, or None."""
        return self._tx.schedules.get(source)

    async def due(self) -> Sequence[ScheduleState]:
        """Those that may run, the longest waiting first."""
        now = self._now()
        waiting = (
            (state.next_at, state.source, state)
            for state in self._tx.schedules.rows()
            if state.next_at is not None and state.next_at <= now and state.paused_at is None
        )
        return [state for *_, state in sorted(waiting, key=lambda row: row[:2])]

    async def add(self, state: ScheduleState, /) -> bool:
        """Add, unless there is one."""
        if self._tx.schedules.get(state.source) is not None:
            return False
        self._put(state, state.slot_at, state.next_at, state.paused_at)
        return True

    async def put(self, state: ScheduleState, /) -> None:
        """Change what the slots follow from."""
        stored = self._tx.schedules.get(state.source)
        if stored is not None:
            self._put(state, state.slot_at, state.next_at, stored.paused_at)

    async def advance(self, seen: ScheduleState, /, *, slot_at: datetime | None, next_at: datetime | None) -> None:
        """Move on if it still stands where it was seen."""
        if self._tx.schedules.get(seen.source) != replace(seen, paused_at=None):
            raise ConflictError(f"The schedule of source {seen.source!r} was moved on, changed or paused meanwhile.")
        self._put(seen, slot_at, next_at, None)

    async def pause(self, source: str, at: datetime | None, /) -> bool:
        """Pause, keeping an earlier instant, or go on."""
        stored = self._tx.schedules.get(source)
        if stored is None:
            return False
        self._put(stored, stored.slot_at, stored.next_at, at and (stored.paused_at or at))
        return True

    async def record(self, slots: Sequence[Slot], /) -> None:
        """Note them all, or find one noted."""
        for slot in slots:
            place = (slot.source, slot.slot_at.astimezone(UTC))
            if self._tx.slots.get(place) is not None:
                raise ConflictError(f"A slot of source {slot.source!r} is noted already.")
            self._tx.slots.put(place, replace(slot, slot_at=place[1]))

    async def slots(self, source: str, /, *, limit: int = 50) -> Sequence[Slot]:
        """The slots of a source, newest first."""
        rows = (slot for slot in self._tx.slots.rows() if slot.source == source)
        return sorted(rows, key=attrgetter("slot_at"), reverse=True)[:limit]

    def _put(
        self, state: ScheduleState, slot_at: datetime | None, next_at: datetime | None, paused_at: datetime | None
    ) -> None:
        row = ScheduleState(state.source, state.spec, _utc(slot_at), _utc(next_at), _utc(paused_at))
        self._tx.schedules.put(state.source, row)


def _utc(instant: datetime | None) -> datetime | None:
    return instant and instant.astimezone(UTC)
