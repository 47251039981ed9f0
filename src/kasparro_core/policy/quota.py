"""What answers say about the upstream's own limits, in the forms that are in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from kasparro_core.policy.rate_limit import Quota
from kasparro_core.policy.retry import parse_retry_after

_ITEM = re.compile(r'("[^"]*"|[\w*.-]+)((?:\s*;\s*[a-z]+\s*=\s*[^;,\s]+)*)')
_PARAMETER = re.compile(r"(?<![a-z])([a-z]{1,32})\s{0,4}=\s{0,4}\"?(\d{1,15}(?:\.\d{1,9})?)")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d+)?")
_FAMILIES = ("ratelimit", "x-ratelimit", "x-rate-limit")

_LONGEST_HEADER = 1_024
"""Characters. Nobody says a limit in more; what is longer is not looked at."""

_UNIX_SECONDS = 1e9
_UNIX_MILLISECONDS = 1e12


def quota_of(headers: Mapping[str, str], now: datetime) -> Quota | None:
    """The tightest limit that an answer tells of: the one that would run out first. None where it tells of none that
    says both what is left and until when.

    Knows `RateLimit` with `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, lists of `"name";r=50;t=30` as well
    as the older `limit=100, remaining=50, reset=30`) and `RateLimit-Limit`, `-Remaining`, `-Reset` (its first six
    versions), also as `X-RateLimit-*`, whose reset may be a number of seconds, a Unix time or a date. Header names are
    lower-case.
    """
    headers = {name: value for name, value in headers.items() if len(value) <= _LONGEST_HEADER}
    found = [*_structured(headers), *_older(headers), *_apart(headers, now)]
    return min(found, key=lambda quota: (quota.remaining / max(quota.reset, 1.0), -quota.reset), default=None)


def _structured(headers: Mapping[str, str]) -> Iterator[Quota]:
    sizes = {name: given.get("q") for name, given in _items(headers.get("ratelimit-policy", ""))}
    for name, given in _items(headers.get("ratelimit", "")):
        if "r" in given and "t" in given:
            yield Quota(given["r"], given["t"], sizes.get(name))


def _items(text: str) -> Iterator[tuple[str, dict[str, float]]]:
    for name, parameters in _ITEM.findall(text):
        yield name, {key: float(value) for key, value in _PARAMETER.findall(parameters)}


def _older(headers: Mapping[str, str]) -> Iterator[Quota]:
    given = {key: float(value) for key, value in _PARAMETER.findall(headers.get("ratelimit", ""))}
    if "remaining" in given and "reset" in given:
        yield Quota(given["remaining"], given["reset"], given.get("limit"))


def _apart(headers: Mapping[str, str], now: datetime) -> Iterator[Quota]:
    for family in _FAMILIES:
        remaining = _number(headers.get(f"{family}-remaining"))
        reset = _seconds(headers.get(f"{family}-reset"), now)
        if remaining is not None and reset is not None:
            yield Quota(remaining, reset, _number(headers.get(f"{family}-limit")))


def _number(text: str | None) -> float | None:
    found = _NUMBER.match((text or "").strip())
    return float(found[0]) if found else None


def _seconds(text: str | None, now: datetime) -> float | None:
    """A reset in seconds from now, whichever way it is written."""
    reset = parse_retry_after(text, now)
    if reset is None or reset < _UNIX_SECONDS:
        return reset
    at = reset / 1000 if reset >= _UNIX_MILLISECONDS else reset
    return max(0.0, at - now.timestamp())
