"""A limited upstream and the sources that ask it, in several processes on one virtual clock."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from simulated_loop import SimulatedLoop
from yarl import URL

from kasparro_adapters.http.limiter import Limiter
from kasparro_adapters.memory import MemoryStore
from kasparro_core.ports import Budgets, FetchRequest, RateRules
from kasparro_core.services.budgets import StoredBudgets

EPOCH = datetime(2026, 1, 1).astimezone()
ADDRESS = "http://limited.test/items"
T = TypeVar("T")


class Allowance(Protocol):
    """How an upstream counts: 0.0 for a request that it answers, else the seconds of its Retry-After."""

    def wait(self, now: float) -> float: ...


@dataclass
class SlidingWindow:
    """At most `most` in any `period`; the strictest way to count."""

    most: int
    period: float = 1.0
    retry_after: float = 1.0
    _seen: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        while self._seen and self._seen[0] <= now - self.period:
            self._seen.popleft()
        if len(self._seen) >= self.most:
            return self.retry_after
        self._seen.append(now)
        return 0.0


@dataclass
class TokenBucket:
    """Holds `size` and refills evenly, as nginx and the replay server do."""

    rate: float
    size: float
    tokens: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.size

    def wait(self, now: float) -> float:
        self.tokens = min(self.size, self.tokens + (now - self._at) * self.rate)
        self._at = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.rate
        self.tokens -= 1
        return 0.0


@dataclass
class LoopClock:
    """The virtual time of a loop."""

    loop: SimulatedLoop

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time())

    def monotonic(self) -> float:
        return self.loop.time()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)


@dataclass
class World:
    """One upstream and one database. `answered` and `refused` are the instants at which requests arrived."""

    seed: int
    allowance: Allowance
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.loop = SimulatedLoop(random.Random(self.seed), lambda: 0.002)
        self.clock = LoopClock(self.loop)
        self.store = MemoryStore(self.clock.now)

    def limiter(self, budgets: Budgets | None = None) -> Limiter:
        """That of a new process on the database."""
        return Limiter(self.clock, budgets or StoredBudgets(self.store, self.clock))

    async def source(self, limiter: Limiter, requests: int, rate: RateRules | None, **more: Any) -> None:
        """Ask one page after another; what is refused is asked for again, not before the upstream's wish."""
        done = 0
        while done < requests:
            asked = await self._ask(limiter, FetchRequest("src", ADDRESS, rate=rate, **more))
            done += not asked
            await asyncio.sleep(max(asked, self.chance.uniform(0.0, 0.04)))

    async def _ask(self, limiter: Limiter, request: FetchRequest) -> float:
        async with limiter.turn(request, URL(request.url)) as turn:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            await asyncio.sleep(self.chance.uniform(0.001, 0.02))
            wait = self.allowance.wait(self.loop.time())
            (self.refused if wait else self.answered).append(self.loop.time())
            await asyncio.sleep(self.chance.uniform(0.001, 0.02))
            self.under_way -= 1
            turn.answered(429 if wait else 200, {"retry-after": f"{wait:.3f}"} if wait else {}, b"")
        return wait

    def tell(self, story: Coroutine[Any, Any, T]) -> T:
        """Let it happen."""
        try:
            return self.loop.run_until_complete(story)
        finally:
            self.loop.close()

    def rate(self) -> float:
        """Answered requests a second, from the first to the last."""
        return (len(self.answered) - 1) / (self.answered[-1] - self.answered[0])
