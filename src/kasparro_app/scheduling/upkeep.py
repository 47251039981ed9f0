"""Maintenance, once a day for all processes of a database together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from kasparro_core.errors import ConflictError
from kasparro_core.model import ScheduleState
from kasparro_core.ports import Store

NAME = "@maintenance"
"""Its row among the schedules: no source can have this name."""

_SPEC = "daily"
_DAY = timedelta(days=1)


class Upkeep:
    """Does `work` when its row is due. Of several processes the one that moves the row on does it."""

    def __init__(self, store: Store, work: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._work = work

    async def tick(self) -> bool:
        """Whether it was done here. Raises StorageError."""
        if not await self._taken():
            return False
        await self._work()
        return True

    async def _taken(self) -> bool:
        async with self._store.begin(write=False) as work:
            now = await work.schedules.now()
            state = await work.schedules.get(NAME)
        if state is not None and state.next_at is not None and state.next_at > now:
            return False
        try:
            async with self._store.begin() as work:
                if state is None:
                    taken = await work.schedules.add(ScheduleState(NAME, _SPEC, now, now + _DAY))
                else:
                    await work.schedules.advance(state, slot_at=now, next_at=now + _DAY)
                    taken = True
                await work.commit()
        except ConflictError:
            return False
        return taken
