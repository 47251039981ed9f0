"""HTTP JSON APIs as a source: pages become batches, and the cursor says where the walk over them stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from kasparro_adapters.http import json_decoder
from kasparro_adapters.http.config import HttpSourceConfig, NoPaging
from kasparro_adapters.http.incremental import Mark
from kasparro_adapters.http.links import address_of
from kasparro_adapters.http.memory import (
    LoopGuard,
    body_hash_of,
    page_marks,
    remembered,
    remembered_marks,
    remembered_next,
    request_hash,
    rules_hash,
    validator_of,
)
from kasparro_adapters.http.paging import Page, Place, pager_of
from kasparro_adapters.http.walk import Position, PositionReader, Walk
from kasparro_core.errors import PermanentSourceError, SourceError
from kasparro_core.model.batch import Batch, Cursor, Decoded, FetchFacts, Validator
from kasparro_core.model.raw import RawPayload
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Fetcher, FetchRequest, FetchResponse
from kasparro_core.ports.source import ReadContext
from kasparro_core.services.position import not_understood

_PAST_THE_END = frozenset({"http_400", "http_404", "http_416", "http_422"})


@dataclass(frozen=True, slots=True)
class _Read:
    """One page as it was read. `decoded` is None where the upstream said that nothing changed; `high` is the highest
    value of the incremental field so far; `marks` are what the page is recognized by."""

    response: FetchResponse
    following: Place | None
    marks: frozenset[str]
    high: Mark | None
    decoded: Decoded | None = None
    validator: Validator | None = None


class HttpSource:
    """Implements `kasparro_core.ports.Source` with one partition, the whole.

    A walk that was broken off goes on where it stood; by page or offset one page back, if that page was read more than
    `calm` seconds ago. If the walk began more than `walk_ttl` seconds ago it begins anew. The mark of an incremental
    source moves when a walk is complete. With `full`, validators, mark and a broken-off walk are left aside.
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
    ) -> None:
        self._name = name
        self._config = config
        self._fetcher = fetcher
        self._clock = clock
        self._ttl = timedelta(seconds=walk_ttl)
        self._calm = timedelta(seconds=calm)
        self._pager = pager_of(config)
        self._paged = not isinstance(config.paginate, NoPaging)
        self._rules = rules_hash(config)
        self._positions = PositionReader(name, self._pager, self._rules, config.incremental)
        self._facts: Mapping[str, Any] = {"format": "json", "records": config.records}

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    async def partitions(self) -> Sequence[str]:
        """The whole is the only one."""
        return ("",)

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for a cursor that `read` would refuse."""
        if partition:
            raise not_understood(self._name, partition, cursor, "an HTTP source has one partition, ''")
        self._positions.position(cursor)

    async def read(self, _: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """One batch a page. Codes besides those of fetcher and decoder: `paging_loop`, `too_many_pages`,
        `foreign_link`, `bad_next_page`, `checkpoint`."""
        position = self._positions.position(context.cursor)
        walk = self._resumed(position, context) or self._begun(position, context)
        guard = LoopGuard(self._name, walk.at)
        while True:
            self._check_bound(walk)
            read = await self._page(walk, context)
            if isinstance(read, FetchFacts):
                yield Batch(self._after(position, walk, read, None), read)
                return
            with _costing(read.response):
                guard.page(read.marks, read.response.url)
            loop = guard.place(read.following) if read.following is not None else None
            walk = replace(walk, pages=walk.pages + 1, high=read.high)
            following = walk.at if loop else read.following
            yield self._batch(read, self._after(position, walk, read.response.facts, following))
            if loop is not None:
                raise loop
            if read.following is None:
                return
            walk = replace(walk, at=read.following)

    def _resumed(self, position: Position, context: ReadContext) -> Walk | None:
        walk = position.walk
        if walk is None or context.full or context.now - walk.started_at > self._ttl:
            return None
        return walk.resumed(context.now, self._calm)

    def _begun(self, position: Position, context: ReadContext) -> Walk:
        asked = None if context.full else position.mark
        options = self._config.incremental
        if asked is None and not context.full and options is not None:
            asked = options.mark_of(options.start)
        return Walk(at=self._pager.first, started_at=context.now, rules=self._rules, asked=asked)

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

    async def _page(self, walk: Walk, context: ReadContext) -> _Read | FetchFacts:
        """Read one page; what the request cost alone where a page asked for on suspicion does not exist."""
        request = self._request(walk)
        key = request_hash(request, self._config.secret_param_names, self._rules)
        known = None if context.full else remembered(context.validators, key, self._pager)
        try:
            response = await self._fetcher.fetch(replace(request, validator=known))
        except PermanentSourceError as error:
            if walk.at.get("probe") and error.code in _PAST_THE_END:
                return error.fetch or FetchFacts(self._clock.now())
            raise
        if known is not None and response.not_modified:
            return _Read(response, remembered_next(known), remembered_marks(known), walk.high)
        try:
            with _costing(response):
                return await asyncio.to_thread(self._understood, walk, key, response)
        except SourceError as error:
            error.source = self._name
            error.message = f"{response.url}: {error.message}"
            raise

    def _request(self, walk: Walk) -> FetchRequest:
        params = self._pager.params(walk.at)
        if "url" in walk.at:  # a link is complete; parameters of our own would replace its position
            url = address_of(self._config, walk.at["url"])
            return replace(self._config.request(self._name, url), params={})
        incremental = self._config.incremental
        since = incremental.params(walk.asked) if incremental else {}
        return self._config.request(self._name, self._config.url, params={**since, **params})

    def _understood(self, walk: Walk, key: str, response: FetchResponse) -> _Read:
        """What a body says. CPU-bound: runs in a worker thread."""
        document = json_decoder.parse(response.body)
        decoded = json_decoder.items_of(document, self._config.records)
        rows = len(decoded.items) + len(decoded.rejections)
        following = self._pager.after(walk.at, Page(rows, response.url, response.headers, document))
        body_hash = body_hash_of(response)
        options = self._config.incremental
        return _Read(
            response=response,
            following=following,
            marks=page_marks(body_hash, decoded) if self._paged else frozenset(),
            high=options.highest(decoded.items, walk.high) if options else walk.high,
            decoded=decoded,
            validator=validator_of(key, response, body_hash, rows, following),
        )

    def _batch(self, read: _Read, cursor: Mapping[str, Any]) -> Batch:
        if read.decoded is None:
            return Batch(cursor, read.response.facts)
        return Batch(
            cursor=cursor,
            fetch=read.response.facts,
            raw=RawPayload(read.response.body, self._facts),
            items=read.decoded.items,
            rejections=read.decoded.rejections,
            validators=() if read.validator is None else (read.validator,),
        )

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
