"""The feed source: conditional requests, one batch per changed feed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kasparro_adapters.feeds.address import is_remote, named, request_path, shown
from kasparro_adapters.feeds.config import FeedSourceConfig
from kasparro_adapters.feeds.decoder import FeedDecoder
from kasparro_adapters.feeds.local import read_file, unzipped
from kasparro_adapters.feeds.opml import feed_addresses
from kasparro_core.errors import PermanentSourceError, SourceError
from kasparro_core.model.batch import Batch, Cursor, Decoded, FetchFacts, Validator
from kasparro_core.model.raw import RawPayload
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Fetcher
from kasparro_core.ports.source import ReadContext
from kasparro_core.services.position import Shape, not_understood, understood

_READING_RULES = 1  # raise it when the decoder gives other items for the same bytes: feeds are then read again
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came from an address: nothing new (`body` None), or bytes with what the next request may say."""

    facts: FetchFacts
    body: bytes | None
    url: str = ""
    content_type: str = ""
    etag: str | None = None
    last_modified: str | None = None


class _Seen(Shape):
    """The cursor: the SHA-256 of the body that was read last."""

    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FeedSource:
    """One feed (partition ""), several or a subscription list (each feed a partition named by its address).

    An unchanged feed costs a 304, or a body whose hash is known: an item-less batch either way. The cursor is the hash
    of the body last read, constant while the feed is; it says nothing that the validators do not, and is there to be
    looked at.
    """

    def __init__(self, name: str, config: FeedSourceConfig, root: Path, fetcher: Fetcher, clock: Clock) -> None:
        self._name = name
        self._config = config
        self._root = root
        self._fetcher = fetcher
        self._clock = clock
        self._decoder = FeedDecoder()
        self._feeds: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    async def partitions(self) -> Sequence[str]:
        """("",) for `url`, else the feeds' addresses without secrets; an OPML list is read anew each time.

        Raises SourceError when the list cannot be read or names no feed.
        """
        self._feeds = await self._listed()
        return tuple(self._feeds)

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for a cursor that `read` would refuse. One feed has no parts, a list no whole."""
        if bool(partition) != (self._config.url is None):
            expected = "the address of a feed" if not partition else "''"
            raise not_understood(self._name, partition, cursor, f"the partitions of this source are like {expected}")
        understood(_Seen, cursor, self._name, partition)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """One batch: the feed as it is now, or an item-less one when it has not changed."""
        if context.cursor is not None:
            understood(_Seen, context.cursor, self._name, partition)
        address = await self._address(partition)
        known = None if context.full else context.validators.get(self.request_hash(address))
        answer = await self._get(address, known)
        if answer.body is None:
            yield Batch(context.cursor or {}, answer.facts)
            return
        yield await self._batch(address, answer, known)

    def request_hash(self, address: str) -> str:
        """What remembered validators hold for: the request without host and port, our reading and the mapping."""
        mapping = self._config.record_mapping(self._name).model_dump(mode="json")
        facts = [request_path(address), self._config.method, self._config.params, _READING_RULES, mapping]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    async def _listed(self) -> dict[str, str]:
        config = self._config
        if config.url is not None:
            return {"": config.url}
        if config.urls is not None:
            return named(list(config.urls))
        address = config.opml or ""
        answer = await self._get(address, None)
        try:
            return named(await asyncio.to_thread(feed_addresses, answer.body or b"", answer.content_type))
        except SourceError as error:
            self._blame(error, address)
            raise

    async def _address(self, partition: str) -> str:
        if partition not in self._feeds:
            await self.partitions()
        try:
            return self._feeds[partition]
        except KeyError:
            raise PermanentSourceError(
                f"{partition} is no feed of this source (any more).", source=self._name, code="unknown_partition"
            ) from None

    async def _get(self, address: str, known: Validator | None) -> _Answer:
        try:
            return await (self._fetch(address, known) if is_remote(address) else self._open(address))
        except SourceError as error:
            self._blame(error, address)
            raise

    async def _fetch(self, address: str, known: Validator | None) -> _Answer:
        request = self._config.request(self._name, address.strip(), validator=known)
        if not any(header.lower() == "accept" for header in request.headers):
            request = replace(request, headers={"Accept": _ACCEPT, **request.headers})
        response = await self._fetcher.fetch(request)
        if response.not_modified:
            return _Answer(response.facts, None)
        headers = response.headers
        try:
            body = await asyncio.to_thread(unzipped, response.body, self._config.max_bytes)
        except SourceError as error:
            error.fetch = response.facts
            raise
        return _Answer(
            facts=response.facts,
            body=body,
            url=shown(response.url),
            content_type=headers.get("content-type", ""),
            etag=headers.get("etag"),
            last_modified=headers.get("last-modified"),
        )

    async def _open(self, address: str) -> _Answer:
        path = self._root / Path(address).expanduser()
        packed = await asyncio.to_thread(read_file, path, self._config.max_bytes)
        body = await asyncio.to_thread(unzipped, packed, self._config.max_bytes)
        return _Answer(FetchFacts(self._clock.now(), url=address, bytes_fetched=len(packed)), body)

    async def _batch(self, address: str, answer: _Answer, known: Validator | None) -> Batch:
        body = answer.body or b""
        seen = hashlib.sha256(body).hexdigest()
        cursor: Cursor = {"seen": seen}
        validator = Validator(self.request_hash(address), answer.etag, answer.last_modified, seen)
        if known is not None and known.body_hash == seen:
            return Batch(cursor, answer.facts, validators=(replace(validator, item_count=known.item_count),))
        raw = RawPayload(body, {"format": "feed", "url": answer.url, "content_type": answer.content_type})
        decoded = await self._decoded(raw, address, answer.facts)
        count = len(decoded.items) + len(decoded.rejections)
        return Batch(
            cursor, answer.facts, raw, decoded.items, decoded.rejections, (replace(validator, item_count=count),)
        )

    async def _decoded(self, raw: RawPayload, address: str, facts: FetchFacts) -> Decoded:
        try:
            return await asyncio.to_thread(self._decoder.decode, raw)
        except SourceError as error:
            error.fetch = facts  # a document of no use is still on the run's account
            self._blame(error, address)
            raise

    def _blame(self, error: SourceError, address: str) -> None:
        """Put the source and the feed it belongs to into a fault."""
        where = shown(address)
        if where not in error.message:
            error.message = f"{where}: {error.message}"
        error.source = error.source or self._name
        if error.code == "http_410":
            error.code, error.hint = "gone", "The publisher took this feed down for good: remove it from the source."
