"""The fetch port: one HTTP exchange, with everything that makes it polite and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

from kasparro_core.model.batch import FetchFacts, Validator


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often and how long to try again. `deadline` and `wait_max` in seconds."""

    attempts: int = 5
    wait_max: float = 60.0
    deadline: float = 300.0


@dataclass(frozen=True, slots=True)
class RateRules:
    """At most `requests` per `per` for all who share `key` (default: the host). `burst`: how many at once."""

    requests: float
    per: Literal["second", "minute", "hour", "day", "month"] = "minute"
    key: str | None = None
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to ask for. `secret_headers` and `secret_params` are sent to the first origin alone and never shown.

    `timeout` is the total deadline of one attempt in seconds; `max_bytes` caps the decompressed body. With
    `validator`, the request is conditional (If-None-Match, If-Modified-Since).
    """

    source: str
    url: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    validator: Validator | None = None
    timeout: float = 60.0
    max_bytes: int = 64 * 1024 * 1024
    retry: RetryRules = RetryRules()
    rate: RateRules | None = None
    allow_private_hosts: bool = False


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """What came back. `headers` has lower-case names; `body` is decompressed (b"" when streamed into a sink or 304).

    `url` is the final address after redirects, without secrets; `moved_to` is set when every redirect was permanent.
    """

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    facts: FetchFacts
    moved_to: str | None = None

    @property
    def not_modified(self) -> bool:
        """True when the upstream said that the validators still hold."""
        return self.status == 304


class Fetcher(Protocol):
    """HTTP for sources. One instance serves all of them; safe for concurrent tasks of one event loop.

    Retries what may pass (429, 5xx, connection faults) with jittered back-off, never sooner than Retry-After; follows
    redirects; keeps the total deadline and the byte cap; refuses private addresses unless the request allows them.
    """

    async def fetch(self, request: FetchRequest, /, *, sink: BinaryIO | None = None) -> FetchResponse:
        """Do one exchange (with retries) and return a 200-class or 304 answer.

        With `sink`, the decompressed body is written there piece by piece instead of being held in memory (the sink is
        rewound before a retry). Raises TransientSourceError when the retries are used up, PermanentSourceError for
        anything that will not pass (4xx with the answer's own message, too large, refused address, bad redirect).
        """
        ...
