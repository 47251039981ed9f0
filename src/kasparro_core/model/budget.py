"""What is known of a rate budget."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """The state of the budget behind one limit key, as `kasparro_core.policy.rate_limit` reads and moves it.

    Instants are seconds of the clock of whoever keeps it: of Unix time in a store, of a monotonic clock in a process.
    0.0 stands for "never". Rates are requests a second.

    `next_at`: when the next request that asks for a slot gets one. `closed_until`: before that nobody asks, because the
    upstream said so. `lowered_to`: what the rate was lowered to at `lowered_at`, after a 429; it recovers with time.
    `paced_to`: until `paced_until` no more than this, because the upstream said how little is left. `places`: which
    requests are under way, each by a name of its own, and until when its place is believed to be taken.
    """

    next_at: float = 0.0
    closed_until: float = 0.0
    lowered_to: float | None = None
    lowered_at: float = 0.0
    paced_to: float | None = None
    paced_until: float = 0.0
    places: tuple[tuple[str, float], ...] = ()


def shifted(budget: Budget, by: float) -> Budget:
    """The same budget with its instants on a clock that shows `by` seconds more."""
    return Budget(
        next_at=_moved(budget.next_at, by),
        closed_until=_moved(budget.closed_until, by),
        lowered_to=budget.lowered_to,
        lowered_at=_moved(budget.lowered_at, by),
        paced_to=budget.paced_to,
        paced_until=_moved(budget.paced_until, by),
        places=tuple((name, _moved(until, by)) for name, until in budget.places),
    )


def _moved(instant: float, by: float) -> float:
    return instant and instant + by


def as_of(budget: Budget, seen_at: float, now: float) -> Budget:
    """A budget that was kept at the instant `seen_at`, at the instant `now` of the same clock. Where that was set back
    meanwhile, the budget goes back with it: else everybody would wait until the clock is there again."""
    return shifted(budget, now - seen_at) if now < seen_at else budget
