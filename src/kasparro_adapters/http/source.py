"""HTTP JSON APIs as a source: pages become batches, and the cursor says where the walk over them stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from kasparro_adapters.http import json_decoder
from kasparro_adapters.http.config import HttpSourceConfig, LinkHeaderPaging, NoPaging
from kasparro_adapters.http.incremental import Mark
from kasparro_adapters.http.links import address_of
from kasparro_adapters.http.memory import (
    LoopGuard,
    as_next,
    body_hash_of,
    confirmed,
    page_marks,
    remembered,
    remembered_marks,
    remembered_next,
    request_hash,
    rules_hash,
    to_ask_with,
    validator_of,
    worth_saving,
)
from kasparro_adapters.http.messages import shortened
from kasparro_adapters.http.paging import Page, Place, pager_of
from kasparro_adapters.http.trail import Trail
from kasparro_adapters.http.walk import Position, PositionReader, Walk
from kasparro_core.errors import PermanentSourceError, SourceError
from kasparro_core.model.batch import Batch, Cursor, Decoded, FetchFacts, Validator
from kasparro_core.model.listing import NOTHING, Extent
from kasparro_core.model.raw import RawPayload, payload_identity
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Fetcher, FetchRequest, FetchResponse
from kasparro_core.ports.source import ReadContext
from kasparro_core.services.position import not_understood

_PAST_THE_END = frozenset({"http_400", "http_404", "http_416", "http_422"})


@dataclass(frozen=True, slots=True)
class _Read:
    """One page as it was read. `decoded` is None where nothing changed, by a 304 or by the bytes; `high` is the highest
    value of the incremental field so far; `marks` are what the page is recognized by; `validator` is what is remembered
    of it, and `save` says whether that is anything new; `known` counts the items of bytes that are known."""

    response: FetchResponse
    following: Place | None
    marks: frozenset[str]
    high: Mark | None
    validator: Validator
    decoded: Decoded | None = None
    save: bool = True
    known: int = 0


class HttpSource:
    """Implements `kasparro_core.ports.Source` with one partition, the whole.

    A walk that was broken off goes on where it stood; by page or offset one page back, if that page was read more than
    `calm` seconds ago. If the walk began more than `walk_ttl` seconds ago it begins anew. The mark of an incremental
    source moves when a walk is complete. With `full`, validators, mark and a broken-off walk are left aside; a walk
    that was begun so is also ended so.
    """

    def __init__(
        self,
        name: str,
        config: HttpSourceConfig,
        fetcher: Fetcher,
        clock: Clock,
        *,
        walk_ttl: float = 3600.0,
        calm: float = 60.0,
        partition: str = "",
    ) -> None:
        self._name = name
        self._partition = partition
        self._config = config
        self._fetcher = fetcher
        self._clock = clock
        self._ttl = timedelta(seconds=walk_ttl)
        self._calm = timedelta(seconds=calm)
        self._pager = pager_of(config)
        self._paged = not isinstance(config.paginate, NoPaging)
        self._rules = rules_hash(config)
        self._positions = PositionReader(name, self._pager, self._rules, config.incremental, partition)
        self._facts: Mapping[str, Any] = {"format": "json", "records": config.records}
        self._lists_all = config.incremental is None and partition == ""

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    async def partitions(self) -> Sequence[str]:
        """The whole is the only one."""
        return ("",)

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for a cursor that `read` would refuse."""
        if partition != self._partition:
            raise not_understood(self._name, partition, cursor, "an HTTP source has one partition, ''")
        self._positions.position(cursor)

    async def read(self, _: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """One batch a page. Codes besides those of fetcher and decoder: `paging_loop`, `too_many_pages`,
        `foreign_link`, `bad_next_page`, `checkpoint`."""
        position = self._known(context)
        resumed = self._resumed(position, context)
        walk = resumed or self._begun(position, context)
        guard, trail = LoopGuard(self._name, walk.at), Trail(context.validators, whole=resumed is None)
        while True:
            self._check_bound(walk)
            read = await self._page(walk, context, trail)
            if isinstance(read, FetchFacts):
                yield self._last(Batch(self._after(position, walk, read, None), read, same_as=NOTHING), trail)
                return
            with _costing(read.response):
                guard.page(read.marks, read.response.url)
            loop = guard.place(read.following) if read.following is not None else None
            extent = Extent.PART if walk.pages or not self._lists_all else Extent.FIRST
            walk = replace(walk, pages=walk.pages + 1, high=read.high)
            following = walk.at if loop else read.following
            batch = self._batch(read, self._after(position, walk, read.response.facts, following), extent)
            yield batch if following is not None else self._last(batch, trail)
            if loop is not None:
                raise loop
            if read.following is None:
                return
            walk = replace(walk, at=read.following)

    def _known(self, context: ReadContext) -> Position:
        """The position; a mark that lies ahead of now (a clock was, or an item is) would hide all that comes before."""
        position, options = self._positions.position(context.cursor), self._config.incremental
        return position if options is None else replace(position, mark=options.settled(position.mark, context.now))

    def _resumed(self, position: Position, context: ReadContext) -> Walk | None:
        walk = position.walk
        if walk is None or context.full or abs(context.now - walk.started_at) > self._ttl:
            return None  # a walk of a time to come was begun by a clock that was ahead
        return walk.resumed(context.now, self._calm)

    def _begun(self, position: Position, context: ReadContext) -> Walk:
        full = context.full or (position.walk is not None and position.walk.full)
        asked = None if full else position.mark
        options = self._config.incremental
        if asked is None and not full and options is not None:
            asked = options.mark_of(options.start)
        return Walk(at=self._pager.first, started_at=context.now, rules=self._rules, asked=asked, full=full)

    def _after(self, position: Position, walk: Walk, facts: FetchFacts, following: Place | None) -> Mapping[str, Any]:
        """The cursor once this page is committed: inside the walk, or after it."""
        if following is not None:
            behind, read_at = (walk.at, facts.observed_at) if self._pager.rereads else (None, None)
            onward = replace(walk, at=following, behind=behind, read_at=read_at)
            return replace(position, walk=onward).as_cursor()
        options = self._config.incremental
        if options is None:
            return Position().as_cursor()
        mark = options.higher(position.mark, options.settled(walk.high, walk.started_at))
        return Position(mark, of=options.identity).as_cursor()

    async def _page(self, walk: Walk, context: ReadContext, trail: Trail) -> _Read | FetchFacts:
        """Read one page; what the request cost alone where a page asked for on suspicion does not exist."""
        request = self._request(walk)
        key = request_hash(request, self._config.secret_param_names, self._rules)
        known = None if walk.full else remembered(context.validators, key, self._pager)
        trail.asked(key)
        try:
            response = await self._fetcher.fetch(replace(request, validator=to_ask_with(known), effort=context.effort))
        except PermanentSourceError as error:
            if walk.at.get("probe") and error.code in _PAST_THE_END:
                trail.missed(key)
                return error.fetch or FetchFacts(self._clock.now())
            raise
        read = await self._understood(walk, key, response, known)
        trail.answered(response, read.validator)
        return self._beyond(walk, read, context, trail)

    def _beyond(self, walk: Walk, read: _Read, context: ReadContext, trail: Trail) -> _Read:
        """A short page ends a walk, but not where a page behind it had rows the last time: an upstream that filters or
        sorts while it is read answers short pages in the middle, and what follows would be taken for gone."""
        if read.following is not None or read.decoded is None or not self._lists_all:
            return read
        following = self._pager.beyond(walk.at, read.validator.item_count)
        if following is None:
            return read
        request = self._request(replace(walk, at=following))
        known = context.validators.get(request_hash(request, self._config.secret_param_names, self._rules))
        if known is None or known.item_count == 0:
            return read
        trail.doubted(read.validator.request_hash)
        return replace(read, following=following, validator=replace(read.validator, next=as_next(following)))

    async def _understood(self, walk: Walk, key: str, response: FetchResponse, known: Validator | None) -> _Read:
        if known is not None and response.not_modified:
            following = self._following_again(walk, response, known)
            return self._same(walk, response, following, known, confirmed(known, response, following))
        try:
            with _costing(response):
                return await asyncio.to_thread(self._looked_through, walk, key, response, known)
        except SourceError as error:
            error.source = self._name
            kind = shortened(response.headers.get("content-type", "no Content-Type"), 80)
            error.message = f"{self._name}: {response.url} ({kind}): {error.message}"
            raise

    def _request(self, walk: Walk) -> FetchRequest:
        params = self._pager.params(walk.at)
        if "url" in walk.at:  # a link is complete but for its secrets; other parameters could replace its position
            request = self._config.request(self._name, address_of(self._config, walk.at["url"]))
            secret = self._config.secret_param_names
            return replace(request, params={name: value for name, value in request.params.items() if name in secret})
        incremental = self._config.incremental
        since = incremental.params(walk.asked) if incremental else {}
        return self._config.request(self._name, self._config.url, params={**since, **params})

    def _looked_through(self, walk: Walk, key: str, response: FetchResponse, known: Validator | None) -> _Read:
        """What a body says, unless it is the one that is known. CPU-bound: runs in a worker thread."""
        body_hash = body_hash_of(response)
        if known is not None and known.body_hash == body_hash and not known.refused:
            following = self._following_again(walk, response, known)
            now = validator_of(key, response, body_hash, known.item_count, following)
            return replace(self._same(walk, response, following, known, now), known=known.item_count)
        try:
            return self._decoded(walk, key, response, body_hash)
        except RecursionError as error:  # the decoder bears a level more than what comes after it
            raise json_decoder.too_deep() from error

    def _same(
        self, walk: Walk, response: FetchResponse, following: Place | None, known: Validator, now: Validator
    ) -> _Read:
        marks = remembered_marks(known)
        return _Read(response, following, marks, walk.high, validator=now, save=worth_saving(known, now))

    def _following_again(self, walk: Walk, response: FetchResponse, known: Validator) -> Place | None:
        """The place after a page whose body is known: a Link header is not in the body and may be another one. A 304
        without one leaves what is remembered (RFC 9111 3.2)."""
        silent = response.not_modified and "link" not in response.headers
        if silent or not isinstance(self._config.paginate, LinkHeaderPaging):
            return remembered_next(known)
        return self._pager.after(walk.at, Page(known.item_count, response.url, response.headers, None))

    def _decoded(self, walk: Walk, key: str, response: FetchResponse, body_hash: str) -> _Read:
        document = json_decoder.parse(response.body)
        decoded = json_decoder.items_of(document, self._config.records)
        rows = len(decoded.items) + len(decoded.rejections)
        following = self._pager.after(walk.at, Page(rows, response.url, response.headers, document))
        options = self._config.incremental
        return _Read(
            response=response,
            following=following,
            marks=page_marks(body_hash, decoded) if self._paged else frozenset(),
            high=options.highest(decoded.items, walk.high) if options else walk.high,
            decoded=decoded,
            validator=validator_of(key, response, body_hash, rows, following),
        )

    def _batch(self, read: _Read, cursor: Mapping[str, Any], extent: Extent) -> Batch:
        validators = (read.validator,) if read.save else ()
        if read.decoded is None:
            same_as = self._same_as(read.validator)
            facts = read.response.facts
            bare = read.validator.item_count == 0
            return Batch(
                cursor, facts, validators=validators, extent=extent, same_as=same_as, known=read.known, bare=bare
            )
        return Batch(
            cursor=cursor,
            fetch=read.response.facts,
            raw=RawPayload(read.response.body, self._facts),
            items=read.decoded.items,
            rejections=read.decoded.rejections,
            validators=validators,
            extent=extent,
        )

    def _last(self, batch: Batch, trail: Trail) -> Batch:
        """The batch that ends a walk."""
        news = trail.news() if self._config.when_fresh == "wait" else None
        extent = batch.extent
        if self._lists_all:
            extent |= Extent.LAST | (Extent.LIVE if self._paged else Extent.PART)
        return replace(batch, outdated=trail.outdated(), news=news, extent=extent)

    def _same_as(self, known: Validator) -> str | None:
        """Which stored payload holds what a page holds that did not change."""
        if known.item_count == 0:
            return NOTHING
        return None if known.body_hash is None else payload_identity(known.body_hash, self._facts)

    def _check_bound(self, walk: Walk) -> None:
        most = self._config.paginate.max_pages
        if walk.pages >= most:
            raise PermanentSourceError(
                f"{self._name}: the walk did not end within {most:,} pages.",
                source=self._name,
                code="too_many_pages",
                hint="If the source is that long, raise `paginate.max_pages`.",
            )


@contextmanager
def _costing(response: FetchResponse) -> Iterator[None]:
    """An answer that is of no use is still on the run's account."""
    try:
        yield
    except SourceError as error:
        error.fetch = response.facts
        raise
