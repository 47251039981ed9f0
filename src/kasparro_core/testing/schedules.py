"""The contract of ScheduleStore."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import ScheduleState, SkipReason, Slot, SlotState
from kasparro_core.ports import Store
from kasparro_core.testing.build import later

MANUAL = ScheduleState("m", "manual")
STATE = ScheduleState("s", "every 5m", later(0), later(7))


class ScheduleContract:
    """Schedules. Needs a fixture `store`: migrated and empty."""

    async def test_its_clock_goes_on(self, store: Store) -> None:
        """The database's clock is aware, in UTC, and never goes back."""
        async with store.begin(write=False) as work:
            first, second = await work.schedules.now(), await work.schedules.now()
        assert first.utcoffset() == timedelta(0)
        assert first <= second
        assert first.year >= 2026

    async def test_adds_a_schedule_once(self, store: Store) -> None:
        """Every field comes back; a second one of the source changes nothing and is told."""
        paused = replace(STATE, source="p", paused_at=later(3))
        assert [await _add(store, state) for state in (STATE, MANUAL, paused)] == [True, True, True]
        assert not await _add(store, replace(STATE, spec="other"))
        assert await _list(store) == [MANUAL, paused, STATE]
        assert await _get(store) == STATE
        assert await _get(store, "none") is None

    async def test_puts_another_rule(self, store: Store) -> None:
        """Spec and instants are replaced, those of other sources not; what a person paused stays paused."""
        await _add(store, STATE)
        await _add(store, MANUAL)
        await _pause(store, "s", later(1))
        async with store.begin() as work:
            await work.schedules.put(ScheduleState("s", "0 3 * * *", later(100), later(101)))
            await work.commit()
        assert await _get(store) == ScheduleState("s", "0 3 * * *", later(100), later(101), later(1))
        assert await _get(store, "m") == MANUAL

    async def test_puts_nothing_where_there_is_none(self, store: Store) -> None:
        """Giving another rule does not make a schedule."""
        async with store.begin() as work:
            await work.schedules.put(STATE)
            await work.commit()
        assert await _list(store) == []

    async def test_what_has_come_is_due(self, store: Store) -> None:
        """By the store's clock: past slots, the longest waiting first; not future, paused or manual ones."""
        now = await _now(store)
        for source, seconds in [("b", -10), ("c", -20), ("a", -10), ("future", 3600), ("paused", -5)]:
            at = now + timedelta(seconds=seconds)
            await _add(store, ScheduleState(source, "x", at, at))
        await _add(store, MANUAL)
        await _pause(store, "paused", now)
        assert await _due(store) == ["c", "a", "b"]

    async def test_a_slot_is_due_when_jitter_included_has_come(self, store: Store) -> None:
        """next_at counts, not slot_at."""
        now = await _now(store)
        await _add(store, ScheduleState("s", "x", now - timedelta(hours=1), now + timedelta(hours=1)))
        assert await _due(store) == []

    async def test_moves_on_from_what_was_seen(self, store: Store) -> None:
        """The next slot stands there, or none; spec and pause stay as they are."""
        await _add(store, STATE)
        await _advance(store, STATE, later(300), later(301))
        moved = replace(STATE, slot_at=later(300), next_at=later(301))
        assert await _get(store) == moved
        await _advance(store, moved, None, None)
        assert await _get(store) == ScheduleState("s", "every 5m")
        await _advance(store, ScheduleState("s", "every 5m"), later(600), later(600))
        assert await _get(store) == ScheduleState("s", "every 5m", later(600), later(600))

    @pytest.mark.parametrize(
        "seen",
        [
            replace(STATE, spec="every 6m"),
            replace(STATE, slot_at=later(1)),
            replace(STATE, next_at=later(8)),
            replace(STATE, next_at=None),
            replace(STATE, slot_at=None),
            replace(STATE, source="none"),
        ],
        ids=["spec", "slot_at", "next_at", "no next_at", "no slot_at", "source"],
    )
    async def test_does_not_move_on_from_anything_else(self, store: Store, seen: ScheduleState) -> None:
        """A difference in any of these is a conflict, and the schedule stays where it is."""
        await _add(store, STATE)
        with pytest.raises(ConflictError):
            await _advance(store, seen, later(300), later(300))
        assert await _list(store) == [STATE]

    async def test_a_paused_schedule_does_not_move(self, store: Store) -> None:
        """Who paused it a moment before the slot was taken wins, whatever was seen; afterwards it goes on."""
        await _add(store, STATE)
        await _pause(store, "s", later(1))
        for seen in (STATE, replace(STATE, paused_at=later(1))):
            with pytest.raises(ConflictError):
                await _advance(store, seen, later(300), later(300))
        await _pause(store, "s", None)
        await _advance(store, STATE, later(300), later(300))

    async def test_of_many_one_moves_it(self, store: Store) -> None:
        """Tasks that saw the same slot: one takes it, the others get a conflict, never another error."""
        await _add(store, STATE)
        takers = (_advance(store, STATE, later(300 + n), later(300 + n)) for n in range(8))
        outcomes = await asyncio.gather(*takers, return_exceptions=True)
        failed = [outcome for outcome in outcomes if outcome is not None]
        assert (len(failed), {type(error) for error in failed}) == (7, {ConflictError})
        number = outcomes.index(None)
        assert await _get(store) == replace(STATE, slot_at=later(300 + number), next_at=later(300 + number))

    async def test_pausing_keeps_the_first_instant(self, store: Store) -> None:
        """Twice paused is paused since the first time; going on twice is fine; an unknown source is told."""
        await _add(store, STATE)
        assert await _pause(store, "s", later(1))
        assert await _pause(store, "s", later(2))
        assert await _get(store) == replace(STATE, paused_at=later(1))
        assert await _pause(store, "s", None)
        assert await _pause(store, "s", None)
        assert await _get(store) == STATE
        assert not await _pause(store, "none", later(1))
        assert not await _pause(store, "none", None)

    async def test_notes_slots(self, store: Store) -> None:
        """Every field comes back, newest first; `limit` and the source select."""
        slots = [
            Slot("s", later(1), SlotState.MISSED, folded=3),
            Slot("s", later(2), SlotState.SKIPPED, 7, reason=SkipReason.RUNNING),
            Slot("s", later(3), SlotState.RAN, 8),
        ]
        await _record(store, *slots)
        await _record(store, Slot("other", later(2), SlotState.RAN, 9))
        assert await _slots(store) == slots[::-1]
        assert await _slots(store, limit=2) == slots[:0:-1]
        assert await _slots(store, "none") == []

    async def test_notes_any_number(self, store: Store) -> None:
        """No slot, and thousands of missed ones, are both fine."""
        await _record(store)
        await _record(store, *(Slot("s", later(n), SlotState.MISSED) for n in range(3000)))
        assert len(await _slots(store, limit=5000)) == 3000

    async def test_a_slot_has_one_row(self, store: Store) -> None:
        """A slot that is noted already is a conflict, and none of those given with it is kept; another source's slot
        at the same instant is another one."""
        await _record(store, Slot("s", later(2), SlotState.RAN, 7))
        given = [Slot("s", later(n), SlotState.MISSED) for n in (1, 2, 3)]
        with pytest.raises(ConflictError):
            await _record(store, *given)
        with pytest.raises(ConflictError):
            await _record(store, given[0], given[0])
        assert await _slots(store) == [Slot("s", later(2), SlotState.RAN, 7)]
        await _record(store, Slot("other", later(2), SlotState.RAN, 8))

    async def test_a_slot_is_one_whatever_its_zone(self, store: Store) -> None:
        """Slots are instants: the same one written in another zone is the same slot."""
        await _record(store, Slot("s", later(2), SlotState.RAN, 7))
        elsewhere = later(2).astimezone(timezone(timedelta(hours=5, minutes=30)))
        with pytest.raises(ConflictError):
            await _record(store, Slot("s", elsewhere, SlotState.RAN, 8))
        (slot,) = await _slots(store)
        assert slot.slot_at.tzinfo is UTC


async def _add(store: Store, state: ScheduleState) -> bool:
    async with store.begin() as work:
        added = await work.schedules.add(state)
        await work.commit()
    return added


async def _pause(store: Store, source: str, at: datetime | None) -> bool:
    async with store.begin() as work:
        paused = await work.schedules.pause(source, at)
        await work.commit()
    return paused


async def _advance(store: Store, seen: ScheduleState, slot_at: datetime | None, next_at: datetime | None) -> None:
    async with store.begin() as work:
        await work.schedules.advance(seen, slot_at=slot_at, next_at=next_at)
        await work.commit()


async def _record(store: Store, *slots: Slot) -> None:
    async with store.begin() as work:
        await work.schedules.record(slots)
        await work.commit()


async def _now(store: Store) -> datetime:
    async with store.begin(write=False) as work:
        return await work.schedules.now()


async def _due(store: Store) -> list[str]:
    async with store.begin(write=False) as work:
        return [state.source for state in await work.schedules.due()]


async def _get(store: Store, source: str = "s") -> ScheduleState | None:
    async with store.begin(write=False) as work:
        return await work.schedules.get(source)


async def _list(store: Store) -> Sequence[ScheduleState]:
    async with store.begin(write=False) as work:
        return list(await work.schedules.list())


async def _slots(store: Store, source: str = "s", *, limit: int = 50) -> Sequence[Slot]:
    async with store.begin(write=False) as work:
        return list(await work.schedules.slots(source, limit=limit))
