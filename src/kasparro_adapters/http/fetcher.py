"""HTTP for every source: polite, bounded and patient."""

from __future__ import annotations

import importlib.metadata
import logging
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO, Self

import aiohttp

from kasparro_adapters.http.exchange import Exchange, Hop, Tally
from kasparro_adapters.http.faults import HEADER_BYTES, HEADERS, retry_reason
from kasparro_adapters.http.guard import guarded_socket
from kasparro_adapters.http.limiter import Limiter, asked_of
from kasparro_adapters.http.messages import answer_of
from kasparro_adapters.http.urls import redacted, scrubbed, without_params
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError
from kasparro_core.model.batch import FetchFacts
from kasparro_core.policy.answers import Action, Rule, judge
from kasparro_core.policy.retry import GiveUp, Wait, next_delay
from kasparro_core.ports.budgets import Budgets
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import FetchRequest, FetchResponse
from kasparro_core.services.budgets import LocalBudgets

log = logging.getLogger(__name__)

_PER_HOST = 8


class AiohttpFetcher:
    """Implements `kasparro_core.ports.Fetcher`. An async context manager: connections live from enter to exit.

    It keeps two connection pools, one that refuses addresses which are not public and one that does not, so that a
    connection opened for a source that may reach private hosts is never reused by one that may not. It keeps no
    cookies and takes no proxy from the environment. `draw` gives random numbers from [0, 1) for the jitter. Rate
    budgets are those of `budgets`; without, this process has its own.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        user_agent: str | None = None,
        draw: Callable[[], float] = random.random,
        budgets: Budgets | None = None,
    ) -> None:
        self._clock = clock
        self._agent = user_agent or f"kasparro/{_version()}"
        self._draw = draw
        self._limiter = Limiter(clock, budgets or LocalBudgets(clock))
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
        """See `Fetcher.fetch`. Error codes: `http_<status>`, a value of `kasparro_core.policy.Fault`, `circuit_open`
        and `rate_closed`. Raises StorageError where budgets are kept in a database that is away."""
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
                if error.code == "rate_closed" or (error.code == "circuit_open" and attempt == 1):
                    raise
                spent = self._clock.monotonic() - began - tally.waited
                step = self._step(attempt, request, error, spent)
                log.info("%s Next attempt in %.1f s.", error.message, step.seconds)
                tally.retries[retry_reason(error)] += 1
            attempt += 1
            await self._clock.sleep(step.seconds)

    def _step(self, attempt: int, request: FetchRequest, error: TransientSourceError, spent: float) -> Wait:
        """How long to wait for the next attempt, which is then on the run's account. Raises where there is none."""
        rules = request.retry
        if error.attempts is not None:
            rules = replace(rules, attempts=min(rules.attempts, error.attempts))
        asked = error.retry_after
        step = next_delay(attempt, rules, request.effort, spent=spent, asked=asked, draw=self._draw())
        if isinstance(step, GiveUp):
            raise _given_up(error, step) from error
        request.effort.retries += 1
        request.effort.waited += step.seconds
        return step

    async def _attempt(self, request: FetchRequest, tally: Tally, spent: float, sink: BinaryIO | None) -> FetchResponse:
        if sink is not None:
            sink.seek(0)
            sink.truncate()
        exchange = Exchange(
            session=self._sessions[request.allow_private_hosts],
            limiter=self._limiter,
            clock=self._clock,
            request=request,
            agent=self._agent,
            tally=tally,
            remaining=min(request.timeout, max(0.001, request.retry.deadline - spent)),
            sink=sink,
        )
        hop = await exchange.run()
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
            took=tuple(tally.took),
        )

    def _refusal(self, exchange: Exchange, hop: Hop) -> SourceError:
        request, answer = exchange.request, answer_of(hop.status, hop.headers, hop.body)
        rule, code = judge(answer), f"http_{hop.status}"
        said = scrubbed(answer.says, exchange.secrets)
        message = _sentence(f"{request.source}: {exchange.shown(hop.url)} answered {hop.status}", said, rule)
        if not rule.action.passes:
            return PermanentSourceError(message, source=request.source, code=code, hint=rule.hint)
        exchange.tally.throttled += rule.action is Action.WAIT and hop.status != 503
        asked = asked_of(hop.headers, self._clock.now())
        return TransientSourceError(
            message, source=request.source, code=code, hint=rule.hint, retry_after=asked, attempts=rule.attempts
        )


def _sentence(answered: str, said: str, rule: Rule) -> str:
    text = f"{answered}{': ' + said if said else ''}".rstrip(".") + "."
    return f"{text} That means: {rule.why}." if rule.telling else text


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
    return str(bare) if redacted(bare, (), exchange.secrets) == str(bare) else None


def _session(*, private: bool) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit_per_host=_PER_HOST, socket_factory=None if private else guarded_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        trust_env=False,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        max_headers=HEADERS,
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
