"""Rate budgets over given instants: when the next request may go, and what is learned from answers.

A budget is an even schedule of slots. Whoever wants to send takes the next free slots at once and is told when they
are: that keeps callers in order without a queue, needs no clock of its own, and lets several processes share
a budget by keeping a single instant. (It is the token bucket counted in time: the generic cell rate algorithm of
ITU-T I.371, in its form of virtual scheduling.)

Why a limit is kept although clocks, networks and event loops are late: only HEADROOM of it is scheduled, so that
`requests` slots take a little more than their period. A request may therefore go up to `grace` after its slot, and
still no window of the length of the period holds more than `requests` of them. One that is later than that moves the
schedule on (`late`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kasparro_core.model.budget import Budget
from kasparro_core.ports.fetch import RateRules

SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "month": 31 * 86_400.0}
"""Length of a period. A month counts 31 days, so that no calendar month ever sees more than its budget."""

HEADROOM = 0.95
"""The share of a configured rate that is scheduled."""

GRACE = 0.05
"""The share of a period that a request may be late: (1 + GRACE) * HEADROOM stays below 1."""

JITTER = 0.05
"""Seconds by which a burst is held back at most: its first request may take that much longer on its way than the one
behind it, and an upstream that counts with a bucket begins to fill it again when the first one comes."""

LOWERED_ONCE = 0.95
"""What a 429 leaves of the rate, when the last one is a while ago: it may have been an accident."""

LOWERED_AGAIN = 0.7
"""What a further one soon afterwards leaves: the limit is lower than it was taken for."""

SOON = 20
"""A 429 that comes before so many further requests could be sent is a further one."""

LOWEST = 0.05
"""No series of 429s lowers a configured rate below this share of it."""

RECOVERY = 600.0
"""Seconds in which a rate that was lowered grows by as much again."""

FORGOTTEN = 3_600.0
"""Seconds without a 429 after which one that was learned from nothing but 429s is forgotten."""

LOWEST_LEARNED = 1 / 3_600.0
"""Requests a second. What was learned from nothing but 429s is never less than one an hour."""

LONGEST = 86_400.0
"""An upstream is not believed that it must not be asked for longer than a day: it is asked again after that."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A configured budget: requests a second, how many at once, and by how many seconds a request may be late."""

    rate: float
    burst: int = 1
    grace: float = 0.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer said about its limit: requests left until `reset` (seconds from now), and how many there are in
    all, if it said so."""

    remaining: float
    reset: float
    limit: float | None = None


def pace_of(rules: RateRules) -> Pace | None:
    """The pace of a budget; None without `requests`. Without `burst` slots are even: one at a time."""
    if rules.requests is None:
        return None
    period = SECONDS[rules.per]
    return Pace(rate=HEADROOM * rules.requests / period, burst=rules.burst or 1, grace=GRACE * period)


def rate_now(budget: Budget, pace: Pace | None, now: float) -> float | None:
    """The rate that holds at the instant `now`, in requests a second; None: any."""
    rates = [pace.rate] if pace else []
    if budget.lowered_to is not None and (pace or now - budget.lowered_at < FORGOTTEN):
        rates.append(budget.lowered_to * (1.0 + max(0.0, now - budget.lowered_at) / RECOVERY))
    if budget.paced_to is not None and now < budget.paced_until:
        rates.append(budget.paced_to)
    return min(rates, default=None)


def reserve(
    budget: Budget, pace: Pace | None, count: int, now: float, *, late: float = 0.0
) -> tuple[Budget, tuple[float, ...]]:
    """Take the next `count` slots at the instant `now`: the budget afterwards, and the instant of each. It may lie up
    to half the grace before `now`: a schedule that nobody could keep up with for a moment makes up for that.

    `late` is by how much the caller missed an earlier slot: the schedule moves on by it.
    """
    rate = rate_now(budget, pace, now)
    opens = max(now, budget.closed_until)
    if rate is None:
        return budget, (opens,) * count
    spacing, behind = 1.0 / rate, pace.grace / 2 if pace else 0.0
    saved = max(behind, (pace.burst - 1) * spacing - JITTER) if pace else 0.0
    following = max(budget.next_at + late, opens - saved)
    earliest = max(now - behind, budget.closed_until)
    slots = []
    for _ in range(count):
        slots.append(max(following, earliest))
        following = min(following + spacing, _unpaced(budget, pace, following, now))
    return replace(budget, next_at=following), tuple(slots)


def _unpaced(budget: Budget, pace: Pace | None, slot: float, now: float) -> float:
    """The latest instant of the slot after `slot`, as what is left until `paced_until` says nothing about later."""
    return max(budget.paced_until, slot + _spacing(_without_pacing(budget), pace, now))


def _without_pacing(budget: Budget) -> Budget:
    return replace(budget, paced_to=None, paced_until=0.0)


def _spacing(budget: Budget, pace: Pace | None, now: float) -> float:
    rate = rate_now(budget, pace, now)
    return 0.0 if rate is None else 1.0 / rate


def held_up(budget: Budget, pace: Pace | None, slot: float, now: float) -> float:
    """By how many seconds a slot is later than it would be by the configured budget alone, because of what answers have
    said; 0 where it is not."""
    rate = rate_now(budget, pace, now)
    if rate is None:
        return 0.0
    return max(0.0, slot - now) * (1.0 - (rate / pace.rate if pace else 0.0))


def refused(budget: Budget, pace: Pace | None, now: float, *, asked: float, ago: float, seen: float | None) -> Budget:
    """After a 429: nobody asks for `asked` seconds, and from then on more slowly.

    `ago`: how many seconds ago the refused request was sent; one that was on its way when the rate was lowered for
    another does not lower it again. `seen`: the rate that was used when nothing was configured, if enough was sent to
    tell.
    """
    closed = budget if asked <= 0 else replace(budget, closed_until=max(budget.closed_until, now + min(asked, LONGEST)))
    current = rate_now(budget, pace, now)
    rate = seen if current is None else current
    if rate is None or now - ago <= budget.lowered_at:
        return closed
    again = budget.lowered_to is not None and now - budget.lowered_at < asked + SOON / rate
    lowered = rate * (LOWERED_AGAIN if again else LOWERED_ONCE)
    least = pace.rate * LOWEST if pace else LOWEST_LEARNED
    return replace(closed, lowered_to=max(lowered, least), lowered_at=now)


def told(budget: Budget, quota: Quota, now: float, *, pace: Pace | None = None) -> Budget:
    """After an answer that says what is left: nothing: nobody asks until the reset. Little (a tenth of the limit, at
    most ten requests): it is spread until then. More: as fast as before, by `pace`; slots that were spread before lie
    no later for that."""
    reset = min(quota.reset, LONGEST)
    if quota.limit == 0:  # said by upstreams that have no limit
        return budget
    if quota.remaining < 1:
        budget = replace(budget, closed_until=max(budget.closed_until, now + reset))
    elif quota.remaining <= _little(quota.limit) and reset > 0:
        return _pulled(replace(budget, paced_to=quota.remaining / reset, paced_until=now + reset), budget, pace, now)
    return budget if budget.paced_to is None else _pulled(_without_pacing(budget), budget, pace, now)


def _pulled(budget: Budget, before: Budget, pace: Pace | None, now: float) -> Budget:
    """With the next slot no later than it can be without the pacing that held `before`."""
    if now >= before.paced_until:
        return budget
    return replace(budget, next_at=min(budget.next_at, _unpaced(budget, pace, now, now)))


def _little(limit: float | None) -> float:
    return 10.0 if limit is None else min(10.0, limit / 10)


def is_idle(budget: Budget, now: float) -> bool:
    """True when nothing that was learned of this budget holds any more."""
    return budget.closed_until <= now and rate_now(budget, None, now) is None
