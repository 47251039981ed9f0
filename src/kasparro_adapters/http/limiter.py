"""May this request go now? Budget and places of its limit key, circuit of its host, and what its answer teaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from yarl import URL

from kasparro_adapters.http.hosts import Host, authority, is_fault_of_host
from kasparro_adapters.http.lane import Lane
from kasparro_adapters.http.messages import answer_of
from kasparro_core.errors import TransientSourceError
from kasparro_core.model.budget import Budget
from kasparro_core.policy.answers import Action, judge
from kasparro_core.policy.circuit import Outcome
from kasparro_core.policy.quota import quota_of
from kasparro_core.policy.rate_limit import Pace, pace_of, refused, told
from kasparro_core.policy.retry import parse_retry_after
from kasparro_core.ports.budgets import Budgets
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import FetchRequest

LEFT_ALONE = frozenset({"circuit_open", "rate_closed"})
"""Codes of errors with which nobody was asked: trying again at once is in vain."""

_WITHOUT_A_WORD = 60.0
"""Seconds that a limit is taken to count over, when a 429 does not say when to come again."""

_OVERTIME = 30.0
"""Seconds beyond its timeout after which the place of a request is free although nobody gave it back."""

_SKEW = timedelta(hours=1)

_LONG = 0.25
"""Who waits longer than so many seconds for a slot looks again whether requests of other processes were refused."""

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
        """An answer came, whatever it says. Header names are lower-case."""
        sick = status >= 500 and judge(answer_of(status, headers, body)).action is Action.RETRY
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
        asked not to be asked for longer than the deadline of the request. Raises StorageError where budgets are kept in
        a database that is away.
        """
        host, lane = self._host(url), self._lane(request, url)
        began = self._clock.monotonic()
        host.check(request, began)
        async with AsyncExitStack() as held:
            slot = await self._slot_and_place(lane, request, began, held)
            turn = self._admitted(host, lane, request, slot, began)
            async with self._watched(host, request, turn):
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
    async def _watched(self, host: Host, request: FetchRequest, turn: Turn) -> AsyncIterator[None]:
        """What becomes of a request tells how its host is."""
        try:
            yield
        except TransientSourceError as error:
            if is_fault_of_host(error):
                turn.outcome, host.trouble = Outcome.SICK, error.message
            raise
        finally:
            if turn.outcome is Outcome.SICK and turn.answer is not None:
                host.trouble = f"it answered {turn.answer[0]}."
            host.ended(request, turn.outcome, self._clock.monotonic(), probe=turn.probe)

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
            slot = await lane.slot(pace)
            self._check_open(lane, request, (await lane.budget()).closed_until, began)
            if self._budgets.shared and slot - self._clock.monotonic() > _LONG:
                await self._until(slot - _BEFORE)
                await lane.look()
            await self._until(slot)
            if self._is_open(await lane.budget()):  # nobody was refused meanwhile
                return slot

    async def _until(self, instant: float) -> None:
        left = instant - self._clock.monotonic()
        if left > _CLOSE:
            await self._clock.sleep(left)

    def _is_open(self, budget: Budget) -> bool:
        return budget.closed_until <= self._clock.monotonic() + _CLOSE

    def _admitted(self, host: Host, lane: Lane, request: FetchRequest, slot: float, began: float) -> Turn:
        pace, now = _pace(request), self._clock.monotonic()
        probe = host.admit(request, now)
        lane.sent(slot, pace)
        return Turn(now - began, now, pace, probe)

    def _check_open(self, lane: Lane, request: FetchRequest, closed_until: float, began: float) -> None:
        if closed_until - began <= request.retry.deadline:
            return
        left = closed_until - self._clock.monotonic()
        until = (self._clock.now() + timedelta(seconds=left)).astimezone(UTC)
        raise TransientSourceError(
            f"{request.source}: {lane.key} has answered that its limit is used up, and is not asked before "
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
        quota = quota_of(headers, wall)
        if quota is not None:
            await lane.learn(lambda budget, now: (told(budget, quota, now), None))
        if status in (403, 429) and judge(answer_of(status, headers, body)).action is Action.WAIT:
            await self._slow_down(lane, turn, asked_of(headers, wall) or 0.0)

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
    quota = quota_of(headers, now)
    return quota.reset if quota is not None and quota.remaining < 1 else None


def _their_clock(headers: Mapping[str, str], now: datetime) -> datetime:
    """The instant of an answer by the upstream's own clock, by which it also means the date in a Retry-After. One that
    is far off is not believed."""
    ahead = parse_retry_after(headers.get("date"), now - _SKEW)
    return now - _SKEW + timedelta(seconds=ahead) if ahead and ahead <= 2 * _SKEW.total_seconds() else now
