"""Client-side rate limits: one token bucket per budget, in this process."""

from __future__ import annotations

from kasparro_core.policy.rate_limit import Bucket, bucket_rules, reserve
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import RateRules


class RateLimiter:
    """Holds the buckets by budget key. Safe for concurrent tasks of one event loop: they are served in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    async def admit(self, rules: RateRules | None, host: str) -> float:
        """Wait until the budget allows one more request; returns the seconds waited. The default key is the host."""
        if rules is None:
            return 0.0
        key = rules.key or host
        bucket, wait = reserve(self._buckets.get(key), bucket_rules(rules), self._clock.monotonic())
        self._buckets[key] = bucket
        if wait > 0:
            await self._clock.sleep(wait)
        return wait
