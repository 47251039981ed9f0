"""The contract of EventLog."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from kasparro_core.model import Event, EventType
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, later


class EventContract:
    """The outbox. Needs a fixture `store`: migrated and empty."""

    async def test_there_are_none_at_first(self, store: Store) -> None:
        """An empty store has given no id out."""
        assert await _last_id(store) == 0
        assert await _after(store, 0) == []

    async def test_keeps_what_happened(self, store: Store) -> None:
        """Every field comes back, with the id under which it was stored; without a run too."""
        data: dict[str, Any] = {"n": 2**60, "d": Decimal("0.10"), "s": "ü\n", "l": [None, True, {}], "o": {"a": 1.5}}
        told = Event(EventType.BATCH_COMMITTED, "s", 7, later(3), data)
        quiet = Event(EventType.DRIFT, "s", None, later(4))
        await _append(store, told, quiet)
        assert await _after(store, 0) == [replace(told, event_id=1), replace(quiet, event_id=2)]

    async def test_ids_grow_by_one_across_units_of_work(self, store: Store) -> None:
        """The first id is 1, and the highest one is known."""
        await _append(store, _event(1), _event(2))
        await _append(store, _event(3))
        assert [event.event_id for event in await _after(store, 0)] == [1, 2, 3]
        assert await _last_id(store) == 3

    async def test_a_listener_goes_on_after_the_last_one_it_saw(self, store: Store) -> None:
        """`after` leaves out what was seen; `limit` pages through the rest in ascending order."""
        await _append(store, *(_event(n) for n in range(1, 8)))
        assert [event.run_id for event in await _after(store, 5)] == [6, 7]
        assert [event.run_id for event in await _after(store, 2, limit=3)] == [3, 4, 5]
        assert await _after(store, 7) == []

    async def test_what_is_rolled_back_was_never_told(self, store: Store) -> None:
        """Without a commit neither the event nor its id is seen, and the next one leaves no gap to wait for."""
        await _append(store, _event(1))
        async with store.begin() as work:
            await work.events.append(_event(2))
        assert await _last_id(store) == 1
        await _append(store, _event(3))
        assert [(event.event_id, event.run_id) for event in await _after(store, 0)] == [(1, 1), (2, 3)]

    async def test_text_from_outside_fails_no_transaction(self, store: Store) -> None:
        """A message with NUL or half a character in it is told, however a store writes these."""
        await _append(
            store, Event(EventType.RUN_FINISHED, SOURCE, 1, later(1), {"error": "a\x00b", "k\x00": ["\ud800"]})
        )
        (told,) = await _after(store, 0)
        assert str(told.data["error"])[0] == "a"

    async def test_a_listener_misses_none_while_many_write(self, store: Store) -> None:
        """Whoever goes on after the last one it saw, again and again beside the writers, sees each event once, in
        order."""
        writers = asyncio.gather(*(_write_some(store, number) for number in range(8)))
        seen: list[Event] = []
        while not writers.done():
            seen += await _after(store, seen[-1].event_id if seen else 0, limit=5)
            await asyncio.sleep(0)
        await writers
        while page := await _after(store, seen[-1].event_id if seen else 0, limit=5):
            seen += page
        assert [event.event_id for event in seen] == list(range(1, 49))
        assert sorted((event.source, event.run_id) for event in seen) == [
            (f"w{number}", n) for number in range(8) for n in range(6)
        ]


def _event(run_id: int, source: str = SOURCE) -> Event:
    return Event(EventType.RUN_STARTED, source, run_id, later(run_id))


async def _write_some(store: Store, number: int) -> None:
    for n in range(0, 6, 2):
        await _append(store, _event(n, f"w{number}"), _event(n + 1, f"w{number}"))


async def _append(store: Store, *events: Event) -> None:
    async with store.begin() as work:
        for event in events:
            await work.events.append(event)
        await work.commit()


async def _after(store: Store, event_id: int, *, limit: int = 500) -> Sequence[Event]:
    async with store.begin(write=False) as work:
        return list(await work.events.after(event_id, limit=limit))


async def _last_id(store: Store) -> int:
    async with store.begin(write=False) as work:
        return await work.events.last_id()
