"""A token bucket over given instants.

Tokens are reserved, not awaited: a caller takes its token at once, even on credit, and is told how long to wait for
it. That keeps callers in order without a queue, and needs no clock of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kasparro_core.ports.fetch import RateRules

SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "month": 31 * 86_400.0}
"""Length of a period. A month counts 31 days, so that no calendar month ever sees more than its budget."""


@dataclass(frozen=True, slots=True)
class BucketRules:
    """Refill in tokens a second, and the most that may be saved up."""

    rate: float
    burst: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was left at the instant `at` (seconds of a monotonic clock). Below zero: reserved on credit."""

    tokens: float
    at: float


def bucket_rules(rules: RateRules) -> BucketRules:
    """The bucket of a budget: it holds `burst`, else one second's worth, at least one request."""
    rate = rules.requests / SECONDS[rules.per]
    burst = rules.burst if rules.burst is not None else max(1, math.floor(rate))
    return BucketRules(rate=rate, burst=float(burst))


def reserve(bucket: Bucket | None, rules: BucketRules, now: float) -> tuple[Bucket, float]:
    """Take one token at the instant `now`: the bucket afterwards, and the seconds to wait before using the token.

    None is a bucket never used, which is full. An instant before the bucket's own refills nothing.
    """
    if bucket is None:
        bucket = Bucket(rules.burst, now)
    refilled = min(rules.burst, bucket.tokens + max(0.0, now - bucket.at) * rules.rate)
    left = refilled - 1.0
    return Bucket(left, max(now, bucket.at)), max(0.0, -left / rules.rate)
