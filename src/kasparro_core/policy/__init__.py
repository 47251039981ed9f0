"""Pure policies: decisions over given instants, without a clock, a socket or a random source of their own."""

from kasparro_core.policy.rate_limit import Bucket, BucketRules, bucket_rules, reserve
from kasparro_core.policy.retry import (
    Fault,
    GiveUp,
    Verdict,
    Wait,
    judge_fault,
    judge_status,
    next_delay,
    parse_retry_after,
)

__all__ = [
    "Bucket",
    "BucketRules",
    "Fault",
    "GiveUp",
    "Verdict",
    "Wait",
    "bucket_rules",
    "judge_fault",
    "judge_status",
    "next_delay",
    "parse_retry_after",
    "reserve",
]
