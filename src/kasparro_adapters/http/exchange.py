"""One attempt at a request: its redirects, its total deadline and its body under the byte cap."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kasparro_adapters.http.body import Bounds, Spool
from kasparro_adapters.http.faults import failure, translated
from kasparro_adapters.http.inflate import ACCEPTED, UnknownEncodingError, inflater, sips
from kasparro_adapters.http.limiter import Limiter
from kasparro_adapters.http.urls import (
    is_sensitive,
    parse_url,
    redacted,
    resolve,
    same_origin,
    secrets_of,
    without_params,
)
from kasparro_core.errors import SourceError
from kasparro_core.policy.retry import Fault
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import FetchRequest

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PERMANENT = frozenset({301, 308})
ERROR_BYTES = 64 * 1024
"""So much of an error answer is read for its message."""

ERROR_SECONDS = 5.0
"""So long is waited for it: what the answer is stands in its status and headers."""


@dataclass(slots=True)
class Tally:
    """What a fetch has cost so far, over all its attempts. `retries` are counted by reason; `waited` is time spent on
    the rate budget, `took` how long each request took that was answered, in seconds."""

    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    wire_bytes: int = 0
    waited: float = 0.0
    took: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Hop:
    """One answer. `body` is decompressed, empty when it went into the sink."""

    status: int
    url: URL
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def redirects(self) -> bool:
        """True when the answer sends us elsewhere."""
        return self.status in REDIRECTS and "location" in self.headers


@dataclass(slots=True)
class Exchange:
    """One attempt. `remaining` is what is left of its deadline in seconds; waiting for the rate budget is not in it.
    `secrets` is what no text may show."""

    session: aiohttp.ClientSession
    limiter: Limiter
    clock: Clock
    request: FetchRequest
    agent: str
    tally: Tally
    remaining: float
    sink: BinaryIO | None = None
    permanent_so_far: bool = True
    hops: int = 0
    secrets: frozenset[str] = frozenset()
    _ends: float = 0.0
    _seen: set[tuple[str, URL]] = field(default_factory=set)

    async def run(self) -> Hop:
        """Follow redirects to the answer, of whatever status. Raises SourceError for whatever is not an answer."""
        first = self._first_url()
        method, url = self.request.method, first
        while True:
            self._seen.add((method, url))
            hop = await self._hop(method, url, trusted=same_origin(url, first))
            if not hop.redirects:
                return hop
            self.permanent_so_far &= hop.status in PERMANENT
            url = self._target(hop, first)
            if hop.status == 303 or (hop.status in (301, 302) and method == "POST"):
                method = "GET"
            self._check_loop(method, url)

    def shown(self, url: URL) -> str:
        """An address of this exchange without secrets. What the configured path holds itself is shown: relative links
        are resolved against this address, and would lead elsewhere."""
        own = URL(self.request.url).path
        return redacted(url, self.request.secret_params, [secret for secret in self.secrets if secret not in own])

    def _first_url(self) -> URL:
        try:
            url = parse_url(self.request.url)
        except ValueError as error:
            message = f"The address of the source is not usable: {error}."
            raise failure(self.request.source, Fault.BAD_URL, message) from error
        self.secrets = secrets_of(self.request)
        url = url.with_user(None)
        return url.update_query(self.request.params) if self.request.params else url

    def _target(self, hop: Hop, first: URL) -> URL:
        try:
            target = resolve(hop.url, hop.headers["location"])
        except ValueError as error:
            message = f"{self.shown(hop.url)} redirects to a place that cannot be followed: {error}."
            raise failure(self.request.source, Fault.BAD_REDIRECT, message) from error
        if same_origin(target, first):
            return target
        return without_params(target, self.request.secret_params.keys(), self.request.secret_params.values())

    def _check_loop(self, method: str, url: URL) -> None:
        self.hops += 1
        if (method, url) in self._seen:
            message = f"{self.shown(url)} redirects in a circle."
            raise failure(self.request.source, Fault.REDIRECT_LOOP, message)
        if self.hops > MAX_REDIRECTS:
            message = f"More than {MAX_REDIRECTS} redirects, the last one to {self.shown(url)}."
            raise failure(self.request.source, Fault.TOO_MANY_REDIRECTS, message)

    async def _hop(self, method: str, url: URL, *, trusted: bool) -> Hop:
        """One request and its answer, when its turn has come."""
        async with self.limiter.turn(self.request, url) as turn:
            self.tally.waited += turn.waited
            sent_at = self.clock.monotonic()
            hop = await self._sent(method, url, trusted=trusted)
            self.tally.took.append(self.clock.monotonic() - sent_at)
            turn.answered(hop.status, hop.headers, hop.body)
        return hop

    async def _sent(self, method: str, url: URL, *, trusted: bool) -> Hop:
        """Only a trusted address (the first origin) is told the secrets."""
        headers = self._headers(trusted=trusted)
        sent = url.update_query(self.request.secret_params) if trusted and self.request.secret_params else url
        started = _now()
        self._ends = started + self.remaining
        self.tally.requests += 1
        try:
            with translated(self.request.source, self.shown(sent), self.request.timeout):
                async with asyncio.timeout_at(self._ends):
                    async with self.session.request(method, sent, headers=headers, allow_redirects=False) as response:
                        return await self._receive(response, url)
        finally:
            self.remaining -= _now() - started

    def _headers(self, *, trusted: bool) -> CIMultiDict[str]:
        headers = CIMultiDict({"User-Agent": self.agent, "Accept": "*/*", "Accept-Encoding": ACCEPTED})
        headers.update({k: v for k, v in self.request.headers.items() if trusted or not is_sensitive(k)})
        if trusted:
            headers.update({**_login(self.request.url), **self.request.secret_headers})
        known = self.request.validator
        if known and known.etag:
            headers["If-None-Match"] = known.etag
        if known and known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        return headers

    async def _receive(self, response: aiohttp.ClientResponse, url: URL) -> Hop:
        hop = Hop(response.status, url, _lower(response.headers))
        if 200 <= hop.status <= 299:
            hop.body = await self._body(response, url)
        elif not hop.redirects and hop.status != 304:
            hop.body = await self._error_body(response)
        return hop

    async def _body(self, response: aiohttp.ClientResponse, url: URL) -> bytes:
        bounds = Bounds(self.request, self.shown(url))
        try:
            bounds.announced(response.content_length)
            if self.sink is None:
                with closing(Spool(self.request.source)) as spool:
                    await self._into(response, bounds, spool.write)
                    return spool.whole()
            await self._into(response, bounds, self.sink.write)
        except SourceError:
            response.close()
            raise
        return b""

    async def _into(self, response: aiohttp.ClientResponse, bounds: Bounds, write: Callable[[bytes], object]) -> None:
        async for piece in self._pieces(response, bounds.received):
            bounds.unpacked(len(piece))
            write(piece)

    async def _error_body(self, response: aiohttp.ClientResponse) -> bytes:
        """What can be had of an error answer's body. A broken one changes nothing about the answer: its Retry-After
        still holds."""
        body = bytearray()
        try:
            async with asyncio.timeout(min(ERROR_SECONDS, (self._ends - _now()) / 2)):
                await self._error_into(response, body)
        except (aiohttp.ClientError, TimeoutError, zlib.error, UnknownEncodingError):
            response.close()
        return bytes(body)

    async def _error_into(self, response: aiohttp.ClientResponse, body: bytearray) -> None:
        before = self.tally.wire_bytes
        async for piece in self._pieces(response, lambda _: None):
            body += piece
            if max(len(body), self.tally.wire_bytes - before) >= ERROR_BYTES:
                response.close()
                return

    async def _pieces(self, response: aiohttp.ClientResponse, received: Callable[[int], None]) -> AsyncIterator[bytes]:
        """The decompressed body in small pieces. Raises ClientPayloadError when its end is missing."""
        unpack = inflater(response.headers.get("Content-Encoding", ""))
        async for chunk in response.content.iter_any():
            self.tally.wire_bytes += len(chunk)
            for sip in sips(chunk, unpack):
                received(len(sip))
                for piece in unpack.feed(sip):
                    yield piece
        if not unpack.complete:
            raise aiohttp.ClientPayloadError("the compressed stream has no end")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _login(url: str) -> dict[str, str]:
    """The Authorization header of an address with user and password in it."""
    parsed = URL(url)
    if parsed.user is None:
        return {}
    pair = f"{parsed.user}:{parsed.password or ''}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Lower-case names; a header given several times is joined by commas, as RFC 9110 5.3 allows. A value that is not
    UTF-8 is taken as Latin-1, so that it can be stored."""
    merged: dict[str, str] = {}
    for name, found in headers.items():
        key, value = name.lower(), _text(found)
        merged[key] = f"{merged[key]}, {value}" if key in merged else value
    return merged


def _text(value: str) -> str:
    """aiohttp keeps the bytes of a header that are not UTF-8 as surrogates, which nothing can encode."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
