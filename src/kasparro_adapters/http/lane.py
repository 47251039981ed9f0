"""What the requests behind one limit key share in this process: slots, places, and what is known of the budget."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import Counter, deque
from dataclasses import dataclass, field

from kasparro_adapters.http.places import Places
from kasparro_core.model.budget import Budget, shifted
from kasparro_core.policy.rate_limit import Pace, is_idle, reserve
from kasparro_core.ports.budgets import Budgets, Change
from kasparro_core.ports.clock import Clock

_REMEMBERED = 1_000
"""So many requests are remembered, to tell at which rate an upstream without a limit was asked."""

_TOO_FEW = 3
"""Of fewer requests no rate can be told."""

_APART = 1.0
"""Seconds by which one instant may differ between two looks at another clock."""


@dataclass(slots=True)
class Lane:
    """One limit key. Instants are seconds of the clock's `monotonic`. `schedule` is another number whenever the
    schedule was pulled forward: slots from before do not count any more."""

    key: str
    clock: Clock
    budgets: Budgets
    schedule: int = 0
    _seen: Budget | None = None
    _noted: int = 0
    _at: float = 0.0
    _sent: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _late: float = 0.0
    _waiting: Counter[Pace | None] = field(default_factory=Counter)
    _slots: dict[Pace | None, deque[float]] = field(default_factory=dict)
    _reserving: asyncio.Lock = field(default_factory=asyncio.Lock)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.key, self.clock, self.budgets)

    async def budget(self) -> Budget:
        """The state as this process saw it last. With the first question it looks what others have left behind."""
        return await self.look() if self._seen is None else self._seen

    async def look(self) -> Budget:
        """The state as it is now, for all processes."""
        since = self._noted
        budget, at = await self.budgets.look(self.key)
        self._note(budget, at, since)
        return self._seen or budget

    async def slot(self, pace: Pace | None) -> float:
        """The instant at which one more request may go. Costs nothing where nothing is configured or learned."""
        budget, now = await self.budget(), self.clock.monotonic()
        if pace is None and is_idle(budget, now):
            return now
        self._waiting[pace] += 1
        try:
            async with self._reserving:
                return await self._next(pace)
        finally:
            self._waiting[pace] -= 1

    def give_back(self, pace: Pace | None, slot: float, schedule: int) -> None:
        """A slot, of that schedule, that is not used: the next request of this process takes it."""
        if schedule == self.schedule:
            insort(self._slots.setdefault(pace, deque()), slot)

    def sent(self, slot: float, pace: Pace | None) -> None:
        """A request goes now. One that is later than its slot allows moves the schedule on, with the next slots that
        are reserved."""
        now = self.clock.monotonic()
        self._sent.append(now)
        if pace is not None and now - slot > pace.grace:
            self._late = max(self._late, now - slot)

    def rate_of(self, seconds: float) -> float | None:
        """Requests a second that were answered in the last so many seconds, before the one that was not."""
        since = self.clock.monotonic() - seconds
        count = sum(at >= since for at in self._sent) - 1
        return count / seconds if count >= _TOO_FEW else None

    async def learn(self, step: Change[None]) -> None:
        """Move the budget, where that changes anything."""
        known, now = await self.budget(), self.clock.monotonic()
        if step(known, now)[0] != known:
            since = self._noted
            budget, at, _ = await self.budgets.change(self.key, step)
            self._note(budget, at, since)

    async def _next(self, pace: Pace | None) -> float:
        """A slot that was reserved before for somebody who does not want it any more, else new ones: for all who wait
        at the same time, in one step."""
        slots = self._slots.setdefault(pace, deque())
        budget, now = await self.budget(), self.clock.monotonic()
        while slots and slots[0] < max(now - (pace.grace if pace else 0.0), budget.closed_until):
            slots.popleft()
        if not slots:
            fresh = await self._reserve(pace, min(self._waiting[pace], _most(pace)))
            slots = self._slots.setdefault(pace, deque())  # those of before may have been forgotten meanwhile
            slots.extend(fresh)
        return slots.popleft()

    async def _reserve(self, pace: Pace | None, count: int) -> list[float]:
        late = self._late

        def step(budget: Budget, now: float) -> tuple[Budget, tuple[float, ...]]:
            return reserve(budget, pace, count, now, late=late)

        since = self._noted
        budget, at, slots = await self.budgets.change(self.key, step)
        self._late = 0.0
        ahead = self._note(budget, at, since)
        return [slot + ahead for slot in slots]

    def _note(self, budget: Budget, at: float, since: int) -> float:
        """Remember a state of the present instant, which is `at` by the clock of whoever keeps it; returns by how much
        ours is ahead of that. `since`: how many were noted when it was asked for. An answer that came late, behind that
        to a later question, says nothing new."""
        ahead = self.clock.monotonic() - at
        if self._noted != since and at < self._at:
            return ahead
        self._noted, self._at = self._noted + 1, at
        known, self._seen = self._seen, shifted(budget, ahead)
        if known is not None and self._seen.next_at < known.next_at - _APART:
            self.schedule += 1
            self._slots.clear()
        return ahead


def _most(pace: Pace | None) -> int:
    """As many slots as lie within a second are reserved in one step: a process that dies takes no more with it."""
    return max(1, int(pace.rate)) if pace else 1
