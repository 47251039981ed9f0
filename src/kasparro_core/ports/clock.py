"""The clock port."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time for the core, which never looks at the machine's clock itself. One instance may serve many tasks."""

    def now(self) -> datetime:
        """The present instant, aware, UTC. Strictly later than any instant this clock gave before."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Wait that long (a virtual clock returns at once and moves itself on)."""
        ...
