"""Past windows of a source: what a backfill asks for, each a partition of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from kasparro_core.normalize.canonical import rfc3339

PREFIX = "backfill:"
"""How the partitions of windows begin. No file and no address that a source reads has such a name."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A span of time in UTC: from `start` on, up to `end`, which does not belong to it."""

    start: datetime
    end: datetime

    @property
    def partition(self) -> str:
        """The partition that the window is read as: `backfill:2024-01-01T00:00:00Z/2024-01-02T00:00:00Z`."""
        return f"{PREFIX}{rfc3339(self.start)}/{rfc3339(self.end)}"

    @classmethod
    def of(cls, partition: str) -> Window | None:
        """The window of a partition; None for a name that `partition` never gives."""
        start, _, end = partition.removeprefix(PREFIX).partition("/")
        try:
            window = cls(datetime.fromisoformat(start).astimezone(UTC), datetime.fromisoformat(end).astimezone(UTC))
        except (ValueError, OverflowError):
            return None
        return window if window.partition == partition else None


def seen_as_of(partition: str, observed_at: datetime) -> datetime:
    """The instant that what was read of a partition stands for, where windows show things as they were then: the
    window's end; of any other partition, when it was observed."""
    window = Window.of(partition)
    return observed_at if window is None else min(observed_at, window.end)
