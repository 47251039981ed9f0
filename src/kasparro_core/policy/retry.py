"""When to try a request again, and when to stop.

Three questions, each a pure function: does a fault pass by itself (`judge_fault`; for answers see `answers`); how long
does the upstream ask to wait (`parse_retry_after`); and how long shall this attempt wait (`next_delay`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from kasparro_core.policy.answers import Action
from kasparro_core.ports.fetch import Effort, RetryRules

BACKOFF_BASE = 0.5
"""Ceiling of the first wait in seconds; it doubles with each attempt up to `wait_max`."""

_SECONDS = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")


class Fault(StrEnum):
    """What can go wrong on the way to an answer. The values are error codes."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    DNS = "dns"
    INCOMPLETE_BODY = "incomplete_body"
    PRIVATE_ADDRESS = "private_address"
    TLS_CERTIFICATE = "tls_certificate"
    BAD_ANSWER = "bad_answer"
    BAD_URL = "bad_url"
    BAD_REDIRECT = "bad_redirect"
    REDIRECT_LOOP = "redirect_loop"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    TOO_LARGE = "too_large"
    COMPRESSION_RATIO = "compression_ratio"
    HEADERS_TOO_LARGE = "headers_too_large"
    CONTENT_ENCODING = "content_encoding"


FAULTS: Mapping[Fault, tuple[Action, str]] = {
    Fault.TIMEOUT: (Action.RETRY, "it may be slow for a moment"),
    Fault.CONNECTION: (Action.RETRY, "it may be restarting, or the network in between"),
    Fault.DNS: (Action.RETRY, "name servers fail for moments"),
    Fault.INCOMPLETE_BODY: (Action.RETRY, "the connection broke, and the rest is missing"),
    Fault.PRIVATE_ADDRESS: (Action.FAIL, "the source may not reach this network"),
    Fault.TLS_CERTIFICATE: (Action.FAIL, "nobody knows who answers there"),
    Fault.BAD_URL: (Action.FAIL, "there is nothing to ask at this address"),
    Fault.BAD_ANSWER: (Action.REJECT, "what answers there does not speak HTTP"),
    Fault.BAD_REDIRECT: (Action.REJECT, "it leads nowhere"),
    Fault.REDIRECT_LOOP: (Action.REJECT, "it leads in a circle"),
    Fault.TOO_MANY_REDIRECTS: (Action.REJECT, "it leads on and on"),
    Fault.TOO_LARGE: (Action.REJECT, "it would be as large again"),
    Fault.COMPRESSION_RATIO: (Action.REJECT, "it would unpack to as much again"),
    Fault.HEADERS_TOO_LARGE: (Action.REJECT, "they would be as large again"),
    Fault.CONTENT_ENCODING: (Action.REJECT, "it would be packed the same way again"),
}
"""What is done about each fault, and why."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; `why` ends the sentence "gave up ..."."""

    why: str


def judge_fault(fault: Fault) -> Action:
    """Faults of the network may pass; refusals and unusable answers do not."""
    return FAULTS[fault][0]


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from `now` that a Retry-After header asks for: a number of seconds or an HTTP date (RFC 9110 10.2.3).

    A date in the past is 0. None when the header is absent or says neither.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:  # "-0000": UTC without a claim about the sender's zone
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def next_delay(
    attempt: int, rules: RetryRules, effort: Effort, *, spent: float, asked: float | None, draw: float
) -> Wait | GiveUp:
    """What to do after attempt number `attempt` (from 1) failed with something that may pass.

    `effort` is what the run has spent so far, `spent` the time that this request has used in seconds, `asked` the
    upstream's Retry-After, `draw` a random number from [0, 1). The wait is full jitter (`draw` times the ceiling),
    never shorter than `asked`, and never past the deadline or what the run may wait: where `asked` does not fit into
    what is left, waiting would be in vain and it gives up at once.
    """
    if attempt >= rules.attempts:
        return GiveUp(f"after {attempt} attempt{'s' if attempt != 1 else ''}")
    if effort.retries >= rules.run_retries:
        return GiveUp(f"at once: the {rules.run_retries} retries of its run (`retry.run_retries`) are used up")
    left, whose = min(
        (rules.deadline - spent, f"of the retry deadline of {rules.deadline:g} s"),
        (rules.run_wait - effort.waited, f"of what its run may wait in all (`retry.run_wait`, {rules.run_wait:g} s)"),
    )
    if left <= 0:
        return GiveUp(f"after {attempt} attempt{'s' if attempt != 1 else ''}: nothing is left {whose}")
    if asked is not None and asked > left:
        return GiveUp(f"at once: it asks to wait {asked:.0f} s, but {left:.0f} s are left {whose}")
    ceiling = min(rules.wait_max, BACKOFF_BASE * 2.0 ** min(attempt - 1, 64))
    return Wait(max(min(draw * ceiling, left), asked or 0.0))
