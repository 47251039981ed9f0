"""HTTP for every source: polite, bounded and patient."""

from __future__ import annotations

import importlib.metadata
import logging
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import BinaryIO, Self

import aiohttp

from kasparro_adapters.http.exchange import Exchange, Hop, Tally
from kasparro_adapters.http.faults import retry_reason
from kasparro_adapters.http.guard import guarded_socket
from kasparro_adapters.http.limiter import RateLimiter
from kasparro_adapters.http.messages import answer_message
from kasparro_adapters.http.urls import redacted, scrubbed, without_params
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError
from kasparro_core.model.batch import FetchFacts
from kasparro_core.policy.retry import GiveUp, judge_status, next_delay, parse_retry_after
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import FetchRequest, FetchResponse

log = logging.getLogger(__name__)

HEADER_BYTES = 16 * 1024
"""A status line or header of an answer may be this long; more is an error."""

_PER_HOST = 8
_HINTS = {
    401: "Check the `auth` setting of the source.",
    403: "Check the `auth` setting of the source, and what its plan allows.",
    407: "The network asks for a proxy login.",
    429: "Set a lower `limit` on the source.",
}


class AiohttpFetcher:
    """Implements `kasparro_core.ports.Fetcher`. An async context manager: connections live from enter to exit.

    It keeps two connection pools, one that refuses addresses which are not public and one that does not, so that a
    connection opened for a source that may reach private hosts is never reused by one that may not. It keeps no
    cookies and takes no proxy from the environment. `draw` gives random numbers from [0, 1) for the jitter.
    """

    def __init__(
        self, clock: Clock, *, user_agent: str | None = None, draw: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._agent = user_agent or f"kasparro/{_version()}"
        self._draw = draw
        self._limiter = RateLimiter(clock)
        self._stack = AsyncExitStack()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        """Open the connection pools."""
        async with AsyncExitStack() as opening:
            for private in (False, True):
                self._sessions[private] = await opening.enter_async_context(_session(private=private))
            self._stack = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self._sessions.clear()
        await self._stack.aclose()

    async def fetch(self, request: FetchRequest, /, *, sink: BinaryIO | None = None) -> FetchResponse:
        """See `Fetcher.fetch`. Error codes: `http_<status>`, or a value of `kasparro_core.policy.Fault`."""
        tally = Tally()
        try:
            return await self._patiently(request, tally, sink)
        except SourceError as error:
            error.fetch = self._facts(tally, None, None)
            raise

    async def _patiently(self, request: FetchRequest, tally: Tally, sink: BinaryIO | None) -> FetchResponse:
        began = self._clock.monotonic()
        attempt = 1
        while True:
            try:
                return await self._attempt(request, tally, self._clock.monotonic() - began - tally.waited, sink)
            except TransientSourceError as error:
                spent = self._clock.monotonic() - began - tally.waited
                step = next_delay(attempt, request.retry, spent=spent, asked=error.retry_after, draw=self._draw())
                if isinstance(step, GiveUp):
                    raise _given_up(error, step) from error
                log.info("%s: %s Next attempt in %.1f s.", request.source, error.message, step.seconds)
                tally.retries[retry_reason(error)] += 1
            attempt += 1
            await self._clock.sleep(step.seconds)

    async def _attempt(self, request: FetchRequest, tally: Tally, spent: float, sink: BinaryIO | None) -> FetchResponse:
        if sink is not None:
            sink.seek(0)
            sink.truncate()
        exchange = Exchange(
            session=self._sessions[request.allow_private_hosts],
            limiter=self._limiter,
            request=request,
            agent=self._agent,
            tally=tally,
            remaining=min(request.timeout, max(0.001, request.retry.deadline - spent)),
            sink=sink,
        )
        hop = await exchange.run()
        if hop.status == 429:
            tally.throttled += 1
        if 200 <= hop.status <= 299 or (hop.status == 304 and request.validator is not None):
            return self._response(exchange, hop)
        raise self._refusal(exchange, hop)

    def _response(self, exchange: Exchange, hop: Hop) -> FetchResponse:
        url = exchange.shown(hop.url)
        facts = self._facts(exchange.tally, url, hop.status)
        moved_to = _moved_to(exchange, hop)
        return FetchResponse(hop.status, url, headers=hop.headers, body=hop.body, facts=facts, moved_to=moved_to)

    def _facts(self, tally: Tally, url: str | None, status: int | None) -> FetchFacts:
        return FetchFacts(
            observed_at=self._clock.now(),
            url=url,
            status=status,
            bytes_fetched=tally.wire_bytes,
            requests=tally.requests,
            retries=tally.retries.total(),
            throttled=tally.throttled,
            retry_reasons=dict(tally.retries),
        )

    def _refusal(self, exchange: Exchange, hop: Hop) -> SourceError:
        request = exchange.request
        verdict = judge_status(hop.status)
        said = scrubbed(answer_message(hop.body), {**request.secret_headers, **request.secret_params})
        message = f"{exchange.shown(hop.url)} answered {hop.status}{': ' + said if said else ''}".rstrip(".") + "."
        hint = _HINTS.get(hop.status)
        if not verdict.retry:
            return PermanentSourceError(message, source=request.source, code=verdict.reason, hint=hint)
        asked = parse_retry_after(hop.headers.get("retry-after"), self._clock.now())
        return TransientSourceError(message, source=request.source, code=verdict.reason, hint=hint, retry_after=asked)


def _given_up(error: TransientSourceError, step: GiveUp) -> TransientSourceError:
    return TransientSourceError(
        f"{error.message} Gave up {step.why}.",
        source=error.source,
        code=error.code,
        hint=error.hint,
        retry_after=error.retry_after,
    )


def _moved_to(exchange: Exchange, hop: Hop) -> str | None:
    """The new address when every redirect was permanent; None where it holds a secret and could not be shown."""
    if not exchange.hops or not exchange.permanent_so_far:
        return None
    bare = without_params(hop.url, exchange.request.secret_params)
    return str(bare) if redacted(bare) == str(bare) else None


def _session(*, private: bool) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit_per_host=_PER_HOST, socket_factory=None if private else guarded_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        trust_env=False,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
    )
    # Else aiohttp repeats a request by itself, at once, when a connection breaks: past the rate budget, the back-off
    # and our count. There is no public switch.
    session._retry_connection = False  # noqa: SLF001
    return session


def _version() -> str:
    try:
        return importlib.metadata.version("kasparro")
    except importlib.metadata.PackageNotFoundError:
        return "dev"
