"""Pure policies: decisions over given instants, without a clock, a socket or a random source of their own."""

from kasparro_core.policy.answers import TABLE, Action, Answer, Rule, judge
from kasparro_core.policy.circuit import Circuit, CircuitRules, Outcome
from kasparro_core.policy.quota import quota_of
from kasparro_core.policy.rate_limit import Pace, Quota, pace_of, rate_now, refused, reserve, told
from kasparro_core.policy.retry import FAULTS, Fault, GiveUp, Wait, judge_fault, next_delay, parse_retry_after

__all__ = [
    "FAULTS",
    "TABLE",
    "Action",
    "Answer",
    "Circuit",
    "CircuitRules",
    "Fault",
    "GiveUp",
    "Outcome",
    "Pace",
    "Quota",
    "Rule",
    "Wait",
    "judge",
    "judge_fault",
    "next_delay",
    "pace_of",
    "parse_retry_after",
    "quota_of",
    "rate_now",
    "refused",
    "reserve",
    "told",
]
