"""Upstreams of a simulation: what they hold changes while they are read, and they fail when they are told to.

Every state of an item has a number `v` that only grows, so that of two states anybody can tell the newer one. What was
served is remembered with the position behind it: that is what the oracle compares with.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulated_trouble import Trouble
from yarl import URL

from kasparro_adapters.http import HttpSource, HttpSourceConfig
from kasparro_core.errors import KasparroError, PermanentSourceError, TransientSourceError
from kasparro_core.model import Batch, FetchFacts, RawPayload, RawRecord
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Clock, FetchRequest, FetchResponse, ReadContext, Source
from kasparro_core.services.jobs import SourceJob

SINCE = 1_700_000_000
REFUSED = "refused"
"""How the keys begin that the database does not take."""

RULES = {"kind": "quote", "key": "id", "external_id": "id", "title": "id", "symbol": "id", "value": "v"}
"""Items of one id are the same thing, whichever upstream has them."""

Item = tuple[str, int]
"""An item's id and the number of its state."""


@dataclass
class Served:
    """One batch that was given out: what it held, and the serial number of the position that it follows."""

    partition: str
    parent: int | None
    items: list[Item]


@dataclass
class Upstream:
    """What all kinds have in common. `truth` is the newest state of every item, also of those that are `removed`."""

    name: str
    chance: random.Random
    trouble: Trouble
    tell: Callable[..., None]
    time: Callable[[], float]
    page: int = 3
    history: bool = False
    keep_raw: bool = True
    read_ahead: bool = False
    truth: dict[str, int] = field(default_factory=dict)
    served: dict[int, Served] = field(default_factory=dict)
    asked: int = 0
    removed: set[str] = field(default_factory=set)

    def change(self) -> None:
        """Something new happens upstream."""
        if self.truth and self.chance.random() < 0.5:
            self.touch(self.chance.choice(list(self.truth)))
        else:
            self.touch(f"i{len(self.truth)}")

    def touch(self, ident: str) -> None:
        """An item begins or changes."""
        self.truth[ident] = self.truth.get(ident, 0) + 1

    def job(self, clock: Clock) -> SourceJob:
        """The source as one process has it."""
        return self._job(self.source(clock), RecordMapping.model_validate({"source": self.name, **RULES}))

    def _job(self, source: Source, mapping: RecordMapping) -> SourceJob:
        return SourceJob(
            source,
            mapping,
            history=self.history,
            keep_raw=self.keep_raw,
            max_rejected=1.0,
            fail_rejected=1.0,
            parallel_partitions=2,
            read_ahead=self.read_ahead,
            mark_gone=True,
            mark_gone_max=1.0,
        )

    def source(self, clock: Clock) -> Source:
        """What reads it."""
        raise NotImplementedError

    def stored_early(self, cursor: Any, partition: str) -> list[Item]:
        """What has to be stored once this position is, as far as the position alone tells it."""
        return []

    async def answer(self) -> None:
        """The time a request takes, and its failure."""
        self.asked += 1
        longest = self.trouble.longest if self.chance.random() < self.trouble.slow else self.trouble.latency
        await asyncio.sleep(self.chance.random() * longest)
        if self.chance.random() < self.trouble.fail:
            raise self.fault()

    def fault(self) -> KasparroError:
        """What a request fails with; it had its cost."""
        kind = TransientSourceError if self.chance.random() < 0.7 else PermanentSourceError
        error = kind(f"{self.name} does not answer", source=self.name, code="http_503")
        self.tell("upstream", self.name, "fails")
        return error

    def give(self, partition: str, parent: int | None, items: list[Item]) -> int:
        """Remember a batch; its serial number."""
        serial = len(self.served) + 1
        self.served[serial] = Served(partition, parent, items)
        self.tell("serve", self.name, partition, serial, items)
        return serial


def serial_of(cursor: Any) -> int | None:
    """The serial number inside a stored position, whether it stands between two slices or not."""
    if not cursor:
        return None
    if "$slice" in cursor:
        cursor = cursor["$slice"]["after"]
    serial: int | None = cursor.get("serial")
    return serial


def item_of(row: Any) -> Item | None:
    """The item that a row tells of; None for a row that is no good, or that the database refuses."""
    return (row["id"], row["v"]) if "id" in row and not row["id"].startswith(REFUSED) else None


def batch_of(rows: Sequence[dict[str, Any]], cursor: dict[str, Any], at: datetime) -> Batch:
    """A batch of JSON rows."""
    raw = RawPayload(json.dumps(rows).encode(), {"format": "json", "records": None})
    items = [RawRecord(number, row) for number, row in enumerate(rows)]
    return Batch(cursor, FetchFacts(at, url="sim:", status=200, bytes_fetched=len(raw.payload), requests=1), raw, items)


@dataclass
class MovingList(Upstream):
    """A list per partition that is walked through page by page while new items come in front and others change. Pages
    may be stale. Items have an instant, which decides."""

    lists: dict[str, list[str]] = field(default_factory=lambda: {"a": [], "b": []})

    def touch(self, ident: str) -> None:
        if ident not in self.truth:
            self.chance.choice(list(self.lists.values())).insert(0, ident)
        super().touch(ident)

    def job(self, clock: Clock) -> SourceJob:
        rules = {"source": self.name, **RULES, "occurred_at": {"field": "at", "unit": "s"}}
        return self._job(self.source(clock), RecordMapping.model_validate(rules))

    def source(self, clock: Clock) -> Source:
        return _Walker(self.name, self, clock)

    def rows(self, partition: str, number: int) -> list[dict[str, Any]]:
        """A page as it is now."""
        idents = self.lists[partition][number * self.page : (number + 1) * self.page]
        return [{"id": ident, "v": v, "at": SINCE + v} for ident in idents for v in [self._state(ident)]]

    def _state(self, ident: str) -> int:
        v = self.truth[ident]
        return v - 1 if v > 1 and self.chance.random() < self.trouble.stale else v


@dataclass
class _Walker:
    """The source of a MovingList. Its position is the next page, 0 after a complete walk."""

    name: str
    upstream: MovingList
    clock: Clock

    async def partitions(self) -> Sequence[str]:
        return list(self.upstream.lists)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        cursor = context.cursor or {}
        number, serial = (0 if context.full else cursor.get("page", 0)), cursor.get("serial")
        while True:
            await self.upstream.answer()
            rows = self.upstream.rows(partition, number)
            last = len(rows) < self.upstream.page
            number = 0 if last else number + 1
            serial = self.upstream.give(partition, serial, [(row["id"], row["v"]) for row in rows])
            yield batch_of(rows, {"page": number, "serial": serial}, self.clock.now())
            if last:
                return


@dataclass
class Log(Upstream):
    """A log per partition that only grows. The last entry of an item counts; some entries are no good."""

    entries: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"": []})

    def touch(self, ident: str) -> None:
        super().touch(ident)
        partitions = list(self.entries)
        log = self.entries[partitions[sum(map(ord, ident)) % len(partitions)]]
        log.append({"id": ident, "v": self.truth[ident]})
        if self.chance.random() < 0.2:
            log.append(self.chance.choice([{"v": len(log)}, {"id": f"{REFUSED}{len(log)}", "v": 1}]))

    def source(self, clock: Clock) -> Source:
        return _Tail(self.name, self, clock)

    def stored_early(self, cursor: Any, partition: str) -> list[Item]:
        if "$slice" in cursor:  # the part of a payload that is not stored yet belongs to its own batch alone
            place = cursor["$slice"]
            served = self.served[place["after"]["serial"]]
            offset = place["after"]["offset"] - len(served.items) + place["offset"]
        else:
            offset = cursor.get("offset", 0)
        found = (item_of(row) for row in self.entries[partition][:offset])
        return [item for item in found if item is not None]


@dataclass
class _Tail:
    """The source of a Log. Its position is how many entries it has read."""

    name: str
    upstream: Log
    clock: Clock

    async def partitions(self) -> Sequence[str]:
        return list(self.upstream.entries)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        cursor = context.cursor or {}
        offset, serial = (0 if context.full else cursor.get("offset", 0)), cursor.get("serial")
        while True:
            await self.upstream.answer()
            size = self.upstream.chance.randint(1, 2 * self.upstream.page)
            rows = self.upstream.entries[partition][offset : offset + size]
            if not rows:
                return
            offset += len(rows)
            serial = self.upstream.give(partition, serial, [item_of(row) or ("", 0) for row in rows])
            yield batch_of(rows, {"offset": offset, "serial": serial}, self.clock.now())


@dataclass
class Api(Upstream):
    """An HTTP API behind the real adapter for it. It names each item's change to five seconds, so that many share
    one mark, and can be asked from there on; a walk sees what was there when it began."""

    changed: dict[str, int] = field(default_factory=dict)

    def touch(self, ident: str) -> None:
        super().touch(ident)
        self.changed[ident] = SINCE + int(self.time() / 5)

    def source(self, clock: Clock) -> Source:
        return HttpSource(self.name, HttpSourceConfig.model_validate(self.config()), _Fetcher(self, clock), clock)

    def config(self) -> dict[str, Any]:
        """As it would stand in a configuration."""
        return {
            "type": "http",
            "url": "https://api.example/items",
            "records": "items",
            "paginate": {"type": "cursor", "path": "next"},
            "incremental": {"cursor": "at", "param": "since", "type": "int"},
            "mapping": {"key": "id", "value": "v"},
        }

    def body(self, query: dict[str, str]) -> Any:
        """The answer to a request: items in the order of their change, up to the mark at which the walk began."""
        now = SINCE + int(self.time() / 5)
        until, at, ident = json.loads(query["cursor"]) if "cursor" in query else (now, 0, "")
        rows = sorted((at, ident) for ident, at in self.changed.items() if at >= int(query.get("since", 0)))
        rows = [row for row in rows if row[0] <= until and row > (at, ident)]
        page = rows[: self.page]
        more = json.dumps([until, *page[-1]]) if len(rows) > self.page else None
        return {"items": [{"id": ident, "v": self.truth[ident], "at": at} for at, ident in page], "next": more}


@dataclass
class Pages(Upstream):
    """A numbered list behind the real adapter for HTTP: new items come in front, others go and may come back, and pages
    have validators."""

    order: list[str] = field(default_factory=list)

    def change(self) -> None:
        if self.order and self.chance.random() < 0.2:
            self.removed.add(self.order.pop(self.chance.randrange(len(self.order))))
        else:
            super().change()

    def touch(self, ident: str) -> None:
        if ident not in self.order:
            self.order.insert(0, ident)
        self.removed.discard(ident)
        super().touch(ident)

    def source(self, clock: Clock) -> Source:
        config = HttpSourceConfig.model_validate(self.config())
        return HttpSource(self.name, config, _Fetcher(self, clock), clock, calm=3.0)

    def config(self) -> dict[str, Any]:
        """As it would stand in a configuration."""
        return {
            "type": "http",
            "url": "https://api.example/list",
            "paginate": {"type": "page", "size": self.page},
            "mapping": {"key": "id", "value": "v"},
        }

    def body(self, query: dict[str, str]) -> Any:
        """A page as it is now."""
        first = (int(query["page"]) - 1) * self.page
        return [{"id": ident, "v": self.truth[ident]} for ident in self.order[first : first + self.page]]


@dataclass
class _Fetcher:
    """HTTP without a network. Answers have an ETag, and 304 where it is known."""

    upstream: Api | Pages
    clock: Clock

    async def fetch(self, request: FetchRequest, /, *, sink: Any = None) -> FetchResponse:
        upstream = self.upstream
        url = URL(request.url).update_query(request.params)
        try:
            await upstream.answer()
        except (TransientSourceError, PermanentSourceError) as error:
            error.fetch = FetchFacts(self.clock.now(), url=str(url), requests=2, retries=1, retry_reasons={"5xx": 1})
            raise
        body = json.dumps(upstream.body(dict(url.query)))
        same = request.validator is not None and request.validator.etag == body
        status = 304 if same else 200
        upstream.tell("serve", upstream.name, str(url), status, body)
        facts = FetchFacts(self.clock.now(), url=str(url), status=status, bytes_fetched=len(body), requests=1)
        return FetchResponse(status, str(url), {"etag": body}, b"" if same else body.encode(), facts)
