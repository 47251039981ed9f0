"""When to try a request again, and when to stop.

Three questions, each a pure function: does this answer (`judge_status`) or fault (`judge_fault`) pass by itself; how
long does the upstream ask to wait (`parse_retry_after`); and how long shall this attempt wait (`next_delay`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from kasparro_core.ports.fetch import RetryRules

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
    CONTENT_ENCODING = "content_encoding"


PASSING = frozenset({Fault.TIMEOUT, Fault.CONNECTION, Fault.DNS, Fault.INCOMPLETE_BODY})
"""Faults of the network, which may be gone a moment later. All others stay until a person changes something."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether trying again may help; `reason` is the error code ("http_503", "timeout")."""

    retry: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; `why` ends the sentence "gave up ..."."""

    why: str


def judge_status(status: int) -> Verdict:
    """429 and every 5xx may pass; any other status is the upstream's answer and asking again would not change it."""
    return Verdict(retry=status == 429 or 500 <= status <= 599, reason=f"http_{status}")


def judge_fault(fault: Fault) -> Verdict:
    """Faults of the network may pass; refusals and unusable answers do not."""
    return Verdict(retry=fault in PASSING, reason=str(fault))


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


def next_delay(attempt: int, rules: RetryRules, *, spent: float, asked: float | None, draw: float) -> Wait | GiveUp:
    """What to do after attempt number `attempt` (from 1) failed with something that may pass.

    `spent` is the time used so far in seconds, `asked` the upstream's Retry-After, `draw` a random number from [0, 1).
    The wait is full jitter (`draw` times the ceiling), never shorter than `asked`, and never past the deadline: where
    `asked` does not fit into what is left of it, waiting would be in vain and it gives up at once.
    """
    if attempt >= rules.attempts:
        return GiveUp(f"after {attempt} attempt{'s' if attempt != 1 else ''}")
    left = rules.deadline - spent
    if left <= 0:
        return GiveUp(f"after {attempt} attempts: the retry deadline of {rules.deadline:g} s is used up")
    if asked is not None and asked > left:
        return GiveUp(f"at once: it asks to wait {asked:.0f} s, but {left:.0f} s are left of the retry deadline")
    ceiling = min(rules.wait_max, BACKOFF_BASE * 2.0 ** min(attempt - 1, 64))
    return Wait(max(min(draw * ceiling, left), asked or 0.0))
