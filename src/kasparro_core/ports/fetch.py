"""The fetch port: one HTTP exchange, with everything that makes it polite and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

from kasparro_core.model.batch import FetchFacts, Validator


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often and how long to try again. Times in seconds.

    `attempts`, `wait_max` and `deadline` hold for one request; `run_retries` and `run_wait` for all requests of a run
    together. After `circuit_failures` failures of a host in a row (0: never) nobody asks it for `circuit_pause`.
    """

    attempts: int = 5
    wait_max: float = 60.0
    deadline: float = 300.0
    run_retries: int = 100
    run_wait: float = 3_600.0
    circuit_failures: int = 10
    circuit_pause: float = 30.0


@dataclass(slots=True)
class Effort:
    """What a run has spent on trying again so far: all its requests share one. `waited` in seconds."""

    retries: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class RateRules:
    """At most `requests` per `per` for all who share `key` (default: the host). `burst`: how many may go without a
    pause. `concurrent`: how many may be under way at a time. At least one of `requests` and `concurrent` is given."""

    requests: float | None = None
    per: Literal["second", "minute", "hour", "day", "month"] = "minute"
    key: str | None = None
    burst: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to ask for. `secret_headers` and `secret_params` are sent to the first origin alone and never shown.

    `timeout` is the total deadline of one attempt in seconds; `max_bytes` caps the body, as it travels and unpacked,
    `max_ratio` how many times its size on the wire it may unpack to. With `validator`, the request is conditional
    (If-None-Match, If-Modified-Since) where that holds something to ask with. `effort` is that of the run.
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
    max_ratio: int = 200
    retry: RetryRules = RetryRules()
    rate: RateRules | None = None
    allow_private_hosts: bool = False
    effort: Effort = field(default_factory=Effort)


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
