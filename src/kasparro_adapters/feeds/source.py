"""The feed source: conditional requests, one batch per changed feed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from kasparro_adapters.feeds.address import fingerprint, named, request_path
from kasparro_adapters.feeds.asking import Answer, Asker
from kasparro_adapters.feeds.config import FeedSourceConfig
from kasparro_adapters.feeds.decoder import FeedDecoder
from kasparro_adapters.feeds.memory import Memory, has_gap, kept, marks
from kasparro_adapters.feeds.moves import Move, is_downgrade, moved
from kasparro_adapters.feeds.opml import feed_addresses
from kasparro_adapters.feeds.wishes import Wish
from kasparro_core.errors import PermanentSourceError, SourceError
from kasparro_core.model.batch import Batch, Cursor, Decoded, FetchFacts, PartitionNews, Validator
from kasparro_core.model.raw import RawPayload
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Effort, Fetcher
from kasparro_core.ports.source import ReadContext
from kasparro_core.services.position import not_understood, understood

_READING_RULES = 1  # raise it when the decoder gives other items for the same bytes: feeds are then read again
_log = logging.getLogger("kasparro")


@dataclass(frozen=True, slots=True)
class _Question:
    """One read of a feed: its configured address, what is remembered of it, what it is compared with, and what its run
    has spent on trying again."""

    home: str
    memory: Memory | None
    known: Validator | None
    before: Cursor | None
    effort: Effort

    @property
    def move(self) -> Move | None:
        """The remembered move, unless it is that of another address."""
        move = self.memory.move if self.memory else None
        return move if move is not None and move.of == fingerprint(self.home) else None


class FeedSource:
    """One feed (partition ""), several or a subscription list (each feed a partition named by its address).

    An unchanged feed costs a 304, or a body whose hash is known: an item-less batch either way. The cursor holds what
    the next read compares with (see `Memory`). A feed that has moved for good is asked at its new address, until that
    fails for good, the last read failed, `full` is asked for, or another address is configured.
    """

    def __init__(self, name: str, config: FeedSourceConfig, root: Path, fetcher: Fetcher, clock: Clock) -> None:
        self._name = name
        self._config = config
        self._asker = Asker(name, config, root, fetcher, clock)
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

    def origin(self, partition: str, /) -> str | None:
        """Of a feed, or with "" of the subscription list; None for a feed that the list has not named (yet)."""
        whole = self._config.url or self._config.opml
        address = whole if not partition else self._feeds.get(partition)
        return None if address is None else fingerprint(address)

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for a cursor that `read` would refuse. One feed has no parts, a list no whole."""
        if bool(partition) != (self._config.url is None):
            expected = "the address of a feed" if not partition else "''"
            raise not_understood(self._name, partition, cursor, f"the partitions of this source are like {expected}")
        understood(Memory, cursor, self._name, partition)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """One batch: the feed as it is now, or an item-less one when it has not changed."""
        memory = understood(Memory, context.cursor, self._name, partition) if context.cursor is not None else None
        home = await self._address(partition)
        known = None if context.full else context.validators.get(self.request_hash(home))
        question = _Question(home, memory, known, context.before or context.cursor, context.effort)
        confirmed = question.move.url if question.move is not None and not context.failed else None
        yield await self._at_home(question) if confirmed is None else await self._there(question, confirmed)

    def request_hash(self, address: str) -> str:
        """What remembered validators hold for: the request without host and port, our reading and the mapping."""
        mapping = self._config.record_mapping(self._name).model_dump(mode="json")
        facts = [request_path(address), self._config.method, self._config.params, _READING_RULES, mapping]
        facts += self._config.drift_rule()
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    async def _listed(self) -> dict[str, str]:
        config = self._config
        if config.url is not None:
            return {"": config.url}
        if config.urls is not None:
            return named(list(config.urls))
        address = config.opml or ""
        answer = await self._asker.ask(address, None)
        try:
            kind = answer.headers.get("content-type", "")
            return named(await asyncio.to_thread(feed_addresses, answer.body or b"", kind))
        except SourceError as error:
            self._asker.blame(error, address)
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

    async def _at_home(self, question: _Question) -> Batch:
        """From the configured address."""
        answer = await self._asker.ask(question.home, question.known, effort=question.effort)
        target = answer.moved_to if self._config.method == "GET" else None
        return await self._batch(question, answer, question.home, target)

    async def _there(self, question: _Question, address: str) -> Batch:
        """From the address that the feed has moved to; from the configured one when that fails for good."""
        try:
            answer = await self._asker.ask(address, question.known, home=question.home, effort=question.effort)
            return await self._batch(question, answer, address, answer.moved_to)
        except PermanentSourceError as error:
            _log.warning("source %s: the feed is not where it had moved to: %s", self._name, error)
            batch = await self._at_home(replace(question, known=None))
            return replace(batch, fetch=_with_cost(batch.fetch, error.fetch))

    async def _batch(self, question: _Question, answer: Answer, asked: str, target: str | None) -> Batch:
        away = asked != question.home
        of = fingerprint(question.home)
        target = None if target is not None and is_downgrade(question.home, target) else target
        move = None if away and target == question.home else moved(question.move, of, target, asked_there=away)
        if answer.body is None:
            memory = question.memory and question.memory.model_copy(update={"move": move})
            return Batch(memory.cursor() if memory else {}, answer.facts, news=self._news(memory, answer))
        return await self._read_batch(question, answer, answer.body, move, asked)

    async def _read_batch(
        self, question: _Question, answer: Answer, body: bytes, move: Move | None, asked: str
    ) -> Batch:
        seen = hashlib.sha256(body).hexdigest()
        headers, known, memory = answer.headers, question.known, question.memory
        hashed = self.request_hash(question.home)
        validator = Validator(hashed, headers.get("etag"), headers.get("last-modified"), seen)
        if known is not None and known.body_hash == seen and memory is not None and not known.refused:
            memory = memory.model_copy(update={"seen": seen, "move": move})
            news = self._news(memory, answer)
            remembered = replace(validator, item_count=known.item_count)
            return Batch(memory.cursor(), answer.facts, validators=(remembered,), news=news)
        facts = {"format": "feed", "url": answer.url, "content_type": headers.get("content-type", "")}
        raw = RawPayload(body, facts)
        decoded, wish = await self._understood(raw, asked, answer.facts)
        found = marks(decoded.items)
        gap = len(found) if has_gap(question.before, found) else 0
        items = kept(found) if found or memory is None else memory.items
        memory = Memory(seen=seen, items=items, wait=wish.wait, quiet=wish.quiet, move=move)
        count = len(decoded.items) + len(decoded.rejections)
        return Batch(
            cursor=memory.cursor(),
            fetch=answer.facts,
            raw=raw,
            items=decoded.items,
            rejections=decoded.rejections,
            validators=(replace(validator, item_count=count),),
            news=replace(self._news(memory, answer), gap=gap),
        )

    def _news(self, memory: Memory | None, answer: Answer) -> PartitionNews:
        """Where the feed is now, and when it wants to be asked again."""
        url = memory.move.url if memory and memory.move else None
        if not self._config.respect_ttl or memory is None:
            return PartitionNews(url=url)
        asked_for = answer.facts.observed_at + timedelta(seconds=memory.wait)
        due = max(asked_for, answer.fresh_until or asked_for)
        return PartitionNews(due if due > answer.facts.observed_at else None, url, memory.quiet)

    async def _understood(self, raw: RawPayload, address: str, facts: FetchFacts) -> tuple[Decoded, Wish]:
        try:
            return await asyncio.to_thread(self._decoder.understand, raw)
        except SourceError as error:
            error.fetch = facts  # a document of no use is still on the run's account
            self._asker.blame(error, address)
            raise


def _with_cost(facts: FetchFacts, spent: FetchFacts | None) -> FetchFacts:
    """The facts of a read, with what the failed one before it has cost."""
    if spent is None:
        return facts
    return replace(
        facts,
        bytes_fetched=facts.bytes_fetched + spent.bytes_fetched,
        requests=facts.requests + spent.requests,
        retries=facts.retries + spent.retries,
        throttled=facts.throttled + spent.throttled,
        retry_reasons=dict(Counter(facts.retry_reasons) + Counter(spent.retry_reasons)),
        took=(*spent.took, *facts.took),
    )
