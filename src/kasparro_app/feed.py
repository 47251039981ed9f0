"""Events as they are committed, for listeners of this process. The outbox in the database is what is true: events of
other processes come in the same way, and a listener goes on from any event that is still kept."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from kasparro_core.errors import StorageError
from kasparro_core.model import Event
from kasparro_core.ports import Store

LOOK = 0.5
"""Seconds between two looks for new events, while anybody listens."""
PAGE = 200
"""So many events are held for a listener at most."""
KEPT = 1000
"""So many of the newest events are held for all listeners together."""
_log = logging.getLogger("kasparro.service")


@dataclass(frozen=True, slots=True)
class Gap:
    """Events from behind `after` up to `upto` are not kept any more (or never were): what they told has to be read
    anew."""

    after: int
    upto: int


class EventFeed:
    """One look-out for all listeners of a process. It looks while there are any, and ends by itself afterwards, or as
    soon as `stopping` is set."""

    def __init__(self, store: Store, stopping: asyncio.Event) -> None:
        self._store = store
        self._stopping = stopping
        self._listeners = 0
        self._watching: asyncio.Task[None] | None = None
        self._last = 0
        self._newest: deque[Event] = deque(maxlen=KEPT)
        self._news = asyncio.Event()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return self._listeners

    @property
    def is_idle(self) -> bool:
        """Whether the look-out has ended (or never began)."""
        return self._watching is None or self._watching.done()

    async def last_id(self) -> int:
        """The newest event's id: where a listener begins that has seen none. Raises StorageError."""
        async with self._store.begin(write=False) as work:
            return await work.events.last_id()

    async def gap(self, after: int) -> Gap | None:
        """What a listener has missed for good that goes on behind `after`; None: nothing. Raises StorageError."""
        async with self._store.begin(write=False) as work:
            last = await work.events.last_id()
            kept = await work.events.after(after, limit=1)
        upto = kept[0].event_id - 1 if kept else last
        return None if upto == after else Gap(after, upto)

    async def listen(self, after: int, *, patience: float) -> AsyncGenerator[Sequence[Event], None]:
        """Pages of events behind `after`, in order, for ever; an empty page after `patience` seconds without any. Ends
        when the process is being stopped. Raises StorageError when older events cannot be read."""
        self._listeners += 1
        try:
            while not self._stopping.is_set():
                self._watch()
                news = self._news
                page = await self._page(after)
                if page:
                    after = page[-1].event_id
                    yield page
                elif not await _happened(news, patience):
                    yield ()
        finally:
            self._listeners -= 1

    async def _page(self, after: int) -> Sequence[Event]:
        """From memory where that reaches back far enough, else from the database."""
        if self._newest and self._newest[0].event_id <= after + 1:
            return [event for event in self._newest if event.event_id > after][:PAGE]
        async with self._store.begin(write=False) as work:
            return await work.events.after(after, limit=PAGE)

    def _watch(self) -> None:
        if self.is_idle:
            self._newest.clear()
            self._watching = asyncio.create_task(self._look_out(), name="look-out for events")

    async def _look_out(self) -> None:
        known = False
        while self._listeners and not self._stopping.is_set():
            try:
                if not known:
                    self._last = await self.last_id()
                    known = True
                    self._tell()  # events may have come between a listener's own look and this one
                await self._look()
            except StorageError as error:
                _log.debug("events cannot be read: %s", error)
            await _happened(self._stopping, LOOK)
        self._tell()

    async def _look(self) -> None:
        while True:
            async with self._store.begin(write=False) as work:
                page = await work.events.after(self._last, limit=PAGE)
            if not page:
                return
            self._newest.extend(page)
            self._last = page[-1].event_id
            self._tell()

    def _tell(self) -> None:
        """Wake all who wait now."""
        self._news.set()
        self._news = asyncio.Event()


async def _happened(event: asyncio.Event, patience: float) -> bool:
    """Wait for an event, not for ever."""
    try:
        async with asyncio.timeout(patience):
            await event.wait()
    except TimeoutError:
        return False
    return True
