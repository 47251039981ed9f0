"""May this request go now? Budget and places of its limit key, circuit of its host, and what its answer teaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from yarl import URL

from kasparro_adapters.http.hosts import Host, authority, is_fault_of_host
from kasparro_adapters.http.lane import Lane
from kasparro_adapters.http.messages import answer_of
from kasparro_adapters.http.urls import same_origin
from kasparro_core.errors import TransientSourceError
from kasparro_core.model.budget import Budget
from kasparro_core.policy.answers import Action, judge
from kasparro_core.policy.circuit import Outcome
from kasparro_core.policy.quota import quota_of
from kasparro_core.policy.rate_limit import LONGEST, Pace, held_up, pace_of, refused, told
from kasparro_core.policy.retry import parse_retry_after
from kasparro_core.ports.budgets import Budgets
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import FetchRequest

_WITHOUT_A_WORD = 60.0
"""Seconds that a limit is taken to count over, when a 429 does not say when to come again."""

_OVERTIME = 30.0
"""Seconds beyond its timeout after which the place of a request is free although nobody gave it back."""

_SKEW = timedelta(hours=1)

_LONG = 0.25
"""Who waits longer than so many seconds for a slot looks again whether requests of other processes were refused."""

_LOOK_AGAIN = 30.0
"""After so many seconds, whoever waits because of what was learned looks again whether that still holds."""

_BEFORE = 0.1
"""So many seconds before the slot: a database may take its time, and the request is not to be late for that."""

_CLOSE = 1e-4  # seconds that are not worth a sleep: two looks at a clock are as far apart


@dataclass(slots=True)
class Turn:
    """A request that may go. `waited`: seconds that it waited for that; `probe`: it finds out about its host."""

    waited: float
    sent_at: float
    pace: Pace | None
    probe: bool = False
    outcome: Outcome = Outcome.UNKNOWN
    answer: tuple[int, Mapping[str, str], bytes] | None = None

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """An answer came, whatever it says. Header names are lower-case. One that may be the fault of the request, of
        which more attempts than a few are in vain, says that its host is alive."""
        rule = judge(answer_of(status, headers, body))
        sick = status >= 500 and rule.action is Action.RETRY and rule.attempts is None
        self.outcome = Outcome.SICK if sick else Outcome.ALIVE
        self.answer = (status, headers, body)


class Limiter:
    """Holds lanes by limit key and circuits by host, for all sources of this process. Safe for concurrent tasks of one
    event loop."""

    def __init__(self, clock: Clock, budgets: Budgets) -> None:
        self._clock = clock
        self._budgets = budgets
        self._lanes: dict[str, Lane] = {}
        self._hosts: dict[str, Host] = {}

    @asynccontextmanager
    async def turn(self, request: FetchRequest, url: URL) -> AsyncIterator[Turn]:
        """Wait until a request to `url` may go, and listen to what comes of it.

        Raises TransientSourceError: `circuit_open` when the host has failed again and again, `rate_closed` when it has
        asked not to be asked for longer than the deadline of the request, or so little is left of its limit that the
        next slot lies that far ahead. Raises StorageError where budgets are kept in a database that is away.
        """
        host, lane = self._host(url), self._lane(request, url)
        began = self._clock.monotonic()
        host.check(request, began)
        async with AsyncExitStack() as held:
            slot = await self._slot_and_place(lane, request, began, held)
            turn = self._admitted(host, lane, request, slot, began)
            async with self._watched(host, request, turn, ours=same_origin(url, URL(request.url))):
                yield turn
        await self._learn(lane, turn)

    async def _slot_and_place(self, lane: Lane, request: FetchRequest, began: float, held: AsyncExitStack) -> float:
        """Wait for both; returns the instant of the slot. A slot does not outlive a refusal of others that is heard of
        while waiting for a place."""
        most = request.rate.concurrent if request.rate else None
        await held.enter_async_context(lane.places.here(most))
        while True:
            slot = await self._slot(lane, request, began)
            if most is None:
                return slot
            async with AsyncExitStack() as entered:
                await entered.enter_async_context(lane.places.everywhere(most, request.timeout + _OVERTIME))
                if self._is_open(await lane.look()):
                    held.push_async_callback(entered.pop_all().aclose)
                    return slot

    @asynccontextmanager
    async def _watched(self, host: Host, request: FetchRequest, turn: Turn, *, ours: bool) -> AsyncIterator[None]:
        """What becomes of a request tells how its host is. Of one that another host has sent there (not `ours`) only
        that it is alive: an address where it fails can be picked on purpose."""
        try:
            yield
        except TransientSourceError as error:
            if ours and is_fault_of_host(error):
                turn.outcome, host.trouble = Outcome.SICK, error.message
            raise
        finally:
            if turn.outcome is Outcome.SICK and not ours:
                turn.outcome = Outcome.UNKNOWN
            if turn.outcome is Outcome.SICK and turn.answer is not None:
                host.trouble = f"it answered {turn.answer[0]}."
            host.ended(request, turn.outcome, self._clock.monotonic(), sent_at=turn.sent_at, probe=turn.probe)

    def _host(self, url: URL) -> Host:
        name = authority(url)
        return self._hosts.setdefault(name, Host(name))

    def _lane(self, request: FetchRequest, url: URL) -> Lane:
        key = (request.rate and request.rate.key) or authority(url)
        if key not in self._lanes:
            self._lanes[key] = Lane(key, self._clock, self._budgets)
        return self._lanes[key]

    async def _slot(self, lane: Lane, request: FetchRequest, began: float) -> float:
        """Wait for a slot; returns its instant, which is now or a little ago."""
        pace = _pace(request)
        while True:
            await self._check_before(lane, request, began)
            slot, schedule = await lane.slot(pace), lane.schedule
            with ExitStack() as unused:
                unused.callback(lane.give_back, pace, slot, schedule)
                self._check(lane, request, await lane.budget(), slot, began)
                if await self._reached(lane, request, slot, schedule, began):
                    unused.pop_all()
                    return slot

    async def _check_before(self, lane: Lane, request: FetchRequest, began: float) -> None:
        """Raise what a slot would, without taking one. What this process remembers may be over: it looks again before
        it says so."""
        if self._too_late(request, await lane.budget(), None, began) is not None:
            self._check(lane, request, await lane.look(), None, began)

    async def _reached(self, lane: Lane, request: FetchRequest, slot: float, schedule: int, began: float) -> bool:
        """Wait for a slot; False when it is none any more, because somebody was refused meanwhile or there are earlier
        ones again."""
        before = _BEFORE if self._budgets.shared else 0.0
        while (left := slot - (now := self._clock.monotonic())) > _LONG:
            learned = held_up(await lane.budget(), _pace(request), slot, now) > 0
            await self._clock.sleep(min(left - before, _LOOK_AGAIN if learned else left))
            self._check(lane, request, await lane.look(), slot, began)
            if lane.schedule != schedule:
                return False
        await self._until(slot)
        return self._is_open(await lane.budget()) and lane.schedule == schedule

    async def _until(self, instant: float) -> None:
        left = instant - self._clock.monotonic()
        if left > _CLOSE:
            await self._clock.sleep(left)

    def _is_open(self, budget: Budget) -> bool:
        return budget.closed_until <= self._clock.monotonic() + _CLOSE

    def _admitted(self, host: Host, lane: Lane, request: FetchRequest, slot: float, began: float) -> Turn:
        pace, now = _pace(request), self._clock.monotonic()
        try:
            probe = host.admit(request, now)
        except TransientSourceError:
            lane.give_back(pace, slot, lane.schedule)
            raise
        lane.sent(slot, pace)
        return Turn(now - began, now, pace, probe)

    def _too_late(self, request: FetchRequest, budget: Budget, slot: float | None, began: float) -> float | None:
        """The instant before which nobody asks, where what answers have said makes that later than the deadline; None
        where it does not. `slot` None: the one that would be next."""
        pace, now, deadline = _pace(request), self._clock.monotonic(), request.retry.deadline
        if budget.closed_until - began > deadline:
            return budget.closed_until
        at = max(budget.next_at, now) if slot is None else slot
        return at if at - began > deadline and held_up(budget, pace, at, now) > deadline else None

    def _check(self, lane: Lane, request: FetchRequest, budget: Budget, slot: float | None, began: float) -> None:
        late = self._too_late(request, budget, slot, began)
        if late is None:
            return
        left = late - self._clock.monotonic()
        until = (self._clock.now() + timedelta(seconds=left)).astimezone(UTC)
        little = "little is left of its limit" if budget.paced_to is not None else "it is asked too often"
        found = "its limit is used up" if late == budget.closed_until else little
        raise TransientSourceError(
            f"{request.source}: {lane.key} has answered that {found}, and is not asked before "
            f"{until:%Y-%m-%d %H:%M:%S} UTC: in {left:.0f} s, which is longer than `retry.deadline` "
            f"({request.retry.deadline:g} s).",
            source=request.source,
            code="rate_closed",
            hint="The next run after that asks it again. Set a lower `limit` on the source.",
            retry_after=left,
        )

    async def _learn(self, lane: Lane, turn: Turn) -> None:
        if turn.answer is None:
            return
        status, headers, body = turn.answer
        wall = self._clock.now()
        quota = quota_of(headers, _their_clock(headers, wall))
        if quota is not None:
            await lane.learn(lambda budget, now: (told(budget, quota, now, pace=turn.pace), None))
        if status in (403, 429) and judge(answer_of(status, headers, body)).action is Action.WAIT:
            await self._slow_down(lane, turn, min(asked_of(headers, wall) or 0.0, LONGEST))

    async def _slow_down(self, lane: Lane, turn: Turn, asked: float) -> None:
        ago = self._clock.monotonic() - turn.sent_at
        seen = lane.rate_of(max(asked, 1.0) if asked else _WITHOUT_A_WORD)

        def step(budget: Budget, now: float) -> tuple[Budget, None]:
            return refused(budget, turn.pace, now, asked=asked, ago=ago, seen=seen), None

        await lane.learn(step)


def _pace(request: FetchRequest) -> Pace | None:
    return pace_of(request.rate) if request.rate else None


def asked_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait: by Retry-After, else until the reset of a limit of which nothing is left."""
    wish = headers.get("retry-after")
    asked = parse_retry_after(wish, now)
    if asked is not None:
        return max(asked, parse_retry_after(wish, _their_clock(headers, now)) or 0.0)
    quota = quota_of(headers, _their_clock(headers, now))
    return quota.reset if quota is not None and quota.remaining < 1 else None


def _their_clock(headers: Mapping[str, str], now: datetime) -> datetime:
    """The instant of an answer by the upstream's own clock, by which it also means the date in a Retry-After. One that
    is far off is not believed."""
    ahead = parse_retry_after(headers.get("date"), now - _SKEW)
    return now - _SKEW + timedelta(seconds=ahead) if ahead and ahead <= 2 * _SKEW.total_seconds() else now
