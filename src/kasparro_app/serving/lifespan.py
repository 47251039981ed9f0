"""What a service has open while it serves, how it begins, and how it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from kasparro_app.api.auth import is_loopback, stored_keys
from kasparro_app.runtime import say_names
from kasparro_app.scheduling.clock import Clockwork
from kasparro_app.service import Service
from kasparro_app.serving.ending import Ending
from kasparro_core.errors import KasparroError, StorageError
from kasparro_core.services.timetable import Timetable

LASTING = frozenset({"storage_newer", "storage_foreign"})
"""Codes of faults of the database that no waiting mends."""

_RETRY = 1.0

# Together less than the seconds after which the process ends whatever hangs.
_RUNS = 5.0
_BEATS = 2.0
_LATE = 1.0
_CLOSING = 1.0
_log = logging.getLogger("kasparro.service")


@dataclass
class Life:
    """The lifespan of the application of one process.

    The API answers at once. Migration, settling the schedules and the first cycle happen in the background, and again
    and again while the database is away.
    """

    service: Service
    ending: Ending
    opened: Callable[[], AbstractAsyncContextManager[object]]
    """The HTTP session, the store, the process handle."""
    timetable: Timetable | None
    """None: nothing is begun by itself."""
    clockwork: Clockwork
    _stopped: asyncio.Task[None] | None = field(default=None, init=False)

    @asynccontextmanager
    async def __call__(self, _app: Any = None) -> AsyncIterator[None]:
        """Open everything, and close it again."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._in_time())
            beginning = asyncio.create_task(self._begin(), name="beginning")
            beginning.add_done_callback(self._broken)
            stopping = asyncio.create_task(self._stop_when_told(beginning), name="stopping")
            try:
                yield
            finally:
                self.service.stopping.set()
                await stopping
                await self.service.desk.stop(_LATE)  # a beat or a request may have begun one at the last moment

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Close what is open, but do not wait for a database that does not answer."""
        context = self.opened()
        await context.__aenter__()
        try:
            yield
        finally:
            closing = asyncio.ensure_future(context.__aexit__(None, None, None))
            _, late = await asyncio.wait({closing}, timeout=_CLOSING)
            if late:
                _log.warning("the database did not answer while it was closed")
            elif (error := closing.exception()) is not None:
                _log.warning("the service was closed, but not in order: %s", error)

    async def _begin(self) -> None:
        told = False
        while True:
            try:
                await self._prepare()
                break
            except StorageError as error:
                if error.code in LASTING:
                    _log.critical("the service ends: %s", error)
                    self.ending.fail(error)
                    return
                if not told:
                    _log.error("the service waits for its database: %s", error)
                told = True
            await asyncio.sleep(_RETRY)
        if told:
            _log.warning("the database is there")
        if self.timetable is not None:
            self.clockwork.start()

    async def _warn_when_open(self) -> None:
        """Nobody has a key, and others can reach the service."""
        if not is_loopback(self.service.options.host) and not await stored_keys(self.service):
            _log.warning(
                "the service listens on %s and there is no key: who reaches it may read, nobody may start "
                "a run; make one with `kasparro keys create`",
                self.service.options.host,
            )

    def _broken(self, beginning: asyncio.Task[None]) -> None:
        """A bug on the way: better no service than one that does half of its work."""
        bug = None if beginning.cancelled() else beginning.exception()
        if bug is not None:
            _log.critical("the service ends because of a bug", exc_info=bug)
            self.ending.fail(KasparroError(f"{type(bug).__name__}: {bug}", code="internal"))

    async def _prepare(self) -> None:
        await self.service.store.migrate()
        await say_names(self.service.settings, self.service.store, self.service.clock)
        if self.timetable is not None:
            await self.timetable.settle()
        await self._warn_when_open()

    async def _stop_when_told(self, beginning: asyncio.Task[None]) -> None:
        """Begin nothing more, break off what runs, and wait for what these leave behind. Requests under way go on: what
        they need is open until they are answered."""
        await self.service.stopping.wait()
        beginning.cancel()
        await asyncio.gather(
            self.service.desk.stop(_RUNS),
            self.clockwork.stop(_BEATS),
            asyncio.wait({beginning}, timeout=_BEATS),
        )
