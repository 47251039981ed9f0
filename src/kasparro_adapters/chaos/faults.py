"""Which fault fires when: decided by a seed and by how often a point was passed, and told in the log."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from kasparro_adapters.chaos.points import Point
from kasparro_core.ports.clock import Clock

CODE = "injected"
HINT = "Faults are injected because `chaos.enabled` is set."
_log = logging.getLogger("kasparro.chaos")


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault: the `number`-th time (from 1) that `point` was passed for this source and partition. Both are "" where
    the work belongs to none, or to all. `draw` gives the same numbers for the same fault."""

    point: Point
    source: str
    partition: str
    number: int
    draw: Random

    def __str__(self) -> str:
        return f"injected fault {self.point}, number {self.number}"

    def tell(self) -> None:
        """Log that it fires."""
        named = {"source": self.source, "partition": self.partition}
        known = {name: value for name, value in named.items() if value}
        _log.warning("injected fault", extra={"point": str(self.point), **known, "number": self.number})


class Faults:
    """Decides at each passage of a point whether its fault fires there. Belongs to one event loop.

    The decision depends on the seed, the point, the source, the partition and the number of the passage alone: the same
    seed fires the same faults, in whatever order sources and partitions get on. Without a seed one is drawn. `rate` is
    the share of passages that fail, from 0 to 1, `points` are those where anything happens (None: all), `latency` is
    what a slow one waits, in seconds. `fail_after`: besides, the origin's connection breaks in each read of a partition
    once so many items were read.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        rate: float,
        latency: float,
        seed: int | None = None,
        points: Collection[Point] | None = None,
        fail_after: int | None = None,
    ) -> None:
        self._clock = clock
        self._rate = rate
        self._latency = latency
        self._points = frozenset(Point if points is None else points)
        self._fail_after = fail_after
        self._passed: Counter[tuple[Point, str, str]] = Counter()
        self.seed = secrets.randbits(32) if seed is None else seed

    def announce(self) -> None:
        """Log that faults are injected, and with which seed they come again."""
        facts = {"seed": self.seed, "rate": self._rate, "points": ",".join(sorted(self._points))}
        after = {} if self._fail_after is None else {"fail_after": self._fail_after}
        _log.warning("faults are injected on purpose", extra={**facts, **after})

    def decided(self, point: Point, source: str = "", partition: str = "", *, certain: bool = False) -> Injected | None:
        """The fault of this passage, if there is one. Whoever lets it happen calls its `tell`."""
        self._passed[point, source, partition] += 1
        number = self._passed[point, source, partition]
        key = (self.seed, str(point), source, partition, number)
        draw = Random(repr(key))  # noqa: S311 - it has to be repeatable, and guards nothing
        fires = point in self._points and draw.random() < self._rate
        return Injected(point, source, partition, number, draw) if fires or certain else None

    def fires(self, point: Point, source: str = "", partition: str = "", *, certain: bool = False) -> Injected | None:
        """The same, told in the log: the caller lets it happen at once."""
        fault = self.decided(point, source, partition, certain=certain)
        if fault is not None:
            fault.tell()
        return fault

    def is_over(self, items: int) -> bool:
        """Whether a read of so many items breaks off now, whatever the draw says."""
        return self._fail_after is not None and items >= self._fail_after

    async def delay(self, point: Point, source: str = "", partition: str = "") -> None:
        """Wait, if this passage is a slow one."""
        if self.fires(point, source, partition) is not None:
            await self._clock.sleep(self._latency)
