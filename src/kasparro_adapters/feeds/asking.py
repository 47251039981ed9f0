"""One question to a feed's address, whether over HTTP or of a file, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from kasparro_adapters.confine import expanded
from kasparro_adapters.feeds.address import is_remote, same_origin, shown, with_login
from kasparro_adapters.feeds.config import FeedSourceConfig
from kasparro_adapters.feeds.local import read_file, unzipped
from kasparro_core.errors import GoneError, PermanentSourceError, SourceError
from kasparro_core.model.batch import FetchFacts, Validator
from kasparro_core.policy.freshness import fresh_until
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Effort, Fetcher, FetchRequest

_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_GONE = "http_410"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came from an address: nothing new (`body` None), or bytes, with what the next request may say. `moved_to`:
    where permanent redirects led; `fresh_until`: how long it calls itself fresh."""

    facts: FetchFacts
    body: bytes | None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    moved_to: str | None = None
    fresh_until: datetime | None = None


class Asker:
    """Asks for the feeds of one source."""

    def __init__(self, name: str, config: FeedSourceConfig, root: Path, fetcher: Fetcher, clock: Clock) -> None:
        self._name = name
        self._config = config
        self._root = root
        self._limit = root / expanded(config.root or "")
        self._fetcher = fetcher
        self._clock = clock

    async def ask(
        self, address: str, known: Validator | None, *, home: str | None = None, effort: Effort | None = None
    ) -> Answer:
        """The answer. `home` is the configured address where `address` is the one that the feed has moved to; `effort`
        is that of the run.

        Raises SourceError that names source and address; GoneError for a 410.
        """
        try:
            if not is_remote(address):
                return await self._open(address)
            request = self._request(address.strip(), (home or address).strip(), known)
            return await self._fetch(request if effort is None else replace(request, effort=effort))
        except PermanentSourceError as error:
            if error.code != _GONE:
                self.blame(error, address)
                raise
            raise self._gone(error, address) from error
        except SourceError as error:
            self.blame(error, address)
            raise

    def blame(self, error: SourceError, address: str) -> None:
        """Put the source and the feed it belongs to into a fault."""
        where = shown(address)
        if where not in error.message:
            error.message = f"{where}: {error.message}"
        error.source = error.source or self._name

    def _gone(self, error: SourceError, address: str) -> GoneError:
        hint = (
            "The publisher took this feed down for good: remove it, or give its new address. Timed runs leave it alone."
        )
        gone = GoneError(error.message, source=error.source, hint=hint)
        gone.fetch = error.fetch
        self.blame(gone, address)
        return gone

    async def _fetch(self, request: FetchRequest) -> Answer:
        response = await self._fetcher.fetch(request)
        body = None
        if not response.not_modified:
            try:
                body = await asyncio.to_thread(unzipped, response.body, self._config.max_bytes)
            except SourceError as error:
                error.fetch = response.facts
                raise
        return Answer(
            facts=response.facts,
            body=body,
            url=shown(response.url),
            headers=response.headers,
            moved_to=response.moved_to,
            fresh_until=fresh_until(response.headers, response.facts.observed_at),
        )

    def _request(self, address: str, home: str, known: Validator | None) -> FetchRequest:
        """The request. Where a feed has moved, its new address stands for all that the configured one and its
        parameters say; nothing that may be a secret goes to another origin."""
        request = self._config.request(self._name, address, validator=known)
        if address != home:
            request = replace(request, params={})
            if same_origin(address, home):
                request = replace(request, url=with_login(address, home))
            else:
                headers = {name: value for name, value in request.headers.items() if name.lower() in _HARMLESS}
                request = replace(request, headers=headers, secret_headers={}, secret_params={})
        if not any(header.lower() == "accept" for header in request.headers):
            request = replace(request, headers={"Accept": _ACCEPT, **request.headers})
        return request

    async def _open(self, address: str) -> Answer:
        path = self._root / expanded(address)
        packed = await asyncio.to_thread(read_file, path, self._limit, self._config.max_bytes)
        body = await asyncio.to_thread(unzipped, packed, self._config.max_bytes)
        return Answer(FetchFacts(self._clock.now(), url=address, bytes_fetched=len(packed)), body)
