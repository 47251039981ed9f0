"""The machine's clock behind the Clock port."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)


class SystemClock:
    """Implements `kasparro_core.ports.Clock`. Safe for concurrent tasks and threads."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The present instant, aware, UTC; a microsecond past the last one where the machine's clock has not moved
        on (coarse ticks) or was set back."""
        with self._lock:
            self._last = max(datetime.now(UTC), self._last + _TICK)
            return self._last

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """Wait that long without blocking other tasks."""
        await asyncio.sleep(seconds)
