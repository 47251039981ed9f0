"""The clock of a service: looks every moment for what is due.

It only looks. What becomes of a slot is decided in the database, so that any number of processes may look at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kasparro_core.errors import KasparroError

_log = logging.getLogger("kasparro.scheduler")


@dataclass(frozen=True, slots=True)
class Beat:
    """Work that is done again and again. `name` completes "... does not work"."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


class Clockwork:
    """Beats on one event loop, each at most once at a time. What fails is told once, and again when it works."""

    def __init__(self, beats: Sequence[Beat]) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._beats = beats
        self._faults: dict[str, str] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin, with a first beat of each at once."""
        # It tells every beat that finds the last one busy, and each that is cancelled; what matters is told here.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        for beat in self._beats:
            self._scheduler.add_job(
                self._beat, "interval", seconds=beat.seconds, args=[beat], next_run_time=datetime.now(UTC)
            )
        self._scheduler.start()

    async def stop(self, deadline: float) -> None:
        """No further beat; those under way have so many seconds to end, then they are cancelled."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=deadline)
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # the library shuts down in a callback of the loop

    async def _beat(self, beat: Beat) -> None:
        task = asyncio.create_task(self._guarded(beat), name=beat.name)
        self._under_way.add(task)
        try:
            await task
        finally:
            self._under_way.discard(task)

    async def _guarded(self, beat: Beat) -> None:
        try:
            await beat.work()
        except KasparroError as error:
            if self._is_news(beat, str(error)):
                _log.error("%s does not work: %s", beat.name, error)
        except Exception as bug:  # noqa: BLE001 - the outermost edge of a beat: a bug in one must not stop the clock
            if self._is_news(beat, repr(bug)):
                _log.exception("%s does not work, by a bug", beat.name)
        else:
            if self._faults.pop(beat.name, None) is not None:
                _log.warning("%s works again", beat.name)

    def _is_news(self, beat: Beat, fault: str) -> bool:
        known = self._faults.get(beat.name)
        self._faults[beat.name] = fault
        return known is None
