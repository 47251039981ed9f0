"""A source whose payloads a test gives run by run, and what is found of its shape: decoded, normalized and written by
the program itself into a store in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scripted import SteppingClock, Told

from kasparro_adapters.feeds import FeedDecoder
from kasparro_adapters.files import CsvDecoder
from kasparro_adapters.http import JsonDecoder
from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.drift import ItemStyle
from kasparro_core.model import (
    Batch,
    Decoded,
    DriftEvent,
    FetchFacts,
    FindingQuery,
    RawPayload,
    RawRecord,
    RejectionQuery,
    Run,
    StoredRejection,
    Trigger,
)
from kasparro_core.model.drift import DriftRule, SchemaVersion
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Decoder, ReadContext
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

DECODERS: dict[str, Decoder] = {"json": JsonDecoder(), "csv": CsvDecoder(), "feed": FeedDecoder()}
STYLES = {"json": ItemStyle.JSON, "csv": ItemStyle.CELLS, "feed": ItemStyle.SPARSE}
Rows = Sequence[Mapping[str, Any]]


def json_payload(rows: Rows) -> RawPayload:
    """A JSON array."""
    return RawPayload(canonical_json_in_order(list(rows)).encode(), {"format": "json", "records": None})


def canonical_json_in_order(value: Any) -> str:
    """JSON with exact numbers and the keys as they stand."""
    if isinstance(value, Mapping):
        inner = (f"{canonical_json(key)}:{canonical_json_in_order(each)}" for key, each in value.items())
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical_json_in_order, value)) + "]"
    return canonical_json(value)


def csv_payload(rows: Rows) -> RawPayload:
    """A file with a header."""
    header = list(rows[0])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    facts = {
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ",",
        "quote": '"',
        "escape": None,
        "skip_space": False,
        "header": header,
        "first_line": 1,
        "skip": 1,
    }
    return RawPayload(text.getvalue().encode(), facts)


def feed_payload(document: bytes) -> RawPayload:
    """A feed as it was published."""
    return RawPayload(document, {"format": "feed", "url": "https://news.example/rss", "content_type": ""})


@dataclass
class PayloadSource:
    """Gives its payloads anew in each run, in batches of at most so many items; or `items` that no payload holds."""

    payloads: Sequence[RawPayload] = ()
    batch_rows: int = 10**9
    name: str = "watched"
    clock: SteppingClock = field(default_factory=SteppingClock)
    items: Sequence[RawRecord] = ()
    partition: str = ""

    async def partitions(self) -> Sequence[str]:
        return [self.partition]

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        if self.items:
            yield Batch({"items": len(self.items)}, FetchFacts(self.clock.now()), items=self.items)
        for number, raw in enumerate(self.payloads):
            decoded = DECODERS[raw.decode_facts["format"]].decode(raw)
            for items in _cut(decoded, self.batch_rows):
                yield Batch({"payload": number}, FetchFacts(self.clock.now(), status=200, requests=1), raw, items)


def _cut(decoded: Decoded, rows: int) -> list[Sequence[RawRecord]]:
    items = decoded.items
    parts = [items[at : at + rows] for at in range(0, len(items), rows)] or [items]
    return [[RawRecord(index, item.data) for index, item in enumerate(part)] for part in parts]


class Watched:
    """One source over one store in memory. Each `run` gives it other payloads."""

    def __init__(
        self,
        style: str,
        rule: DriftRule = DriftRule.EVOLVE,
        *,
        store: Any = None,
        batch_rows: int = 10**9,
        **rules: Any,
    ) -> None:
        self.clock = SteppingClock()
        self.store = store or MemoryStore(self.clock.now)
        self.source = PayloadSource(clock=self.clock, batch_rows=batch_rows)
        mapping = RecordMapping(source="watched", kind="item", **rules)
        self.job = SourceJob(
            self.source, mapping, drift=rule, item_style=STYLES[style], max_rejected=1.0, fail_rejected=1.0
        )
        self.told = Told()
        self.runner = Runner(self.store, MemoryHandle(MemoryOwners()), self.clock, DECODERS, self.told)

    def ruled(self, rule: DriftRule) -> None:
        """Follow another rule from now on."""
        self.job = replace(self.job, drift=rule)

    async def run(self, *payloads: RawPayload, trigger: Trigger = Trigger.CLI) -> Run:
        """One run over these payloads."""
        self.source.payloads = payloads
        run = await self.runner.run(self.job, trigger=trigger)
        assert run is not None
        return run

    async def drift(self) -> list[DriftEvent]:
        """All events, oldest first."""
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.findings.drift(FindingQuery(limit=1000))))

    async def changes(self) -> list[tuple[str, str]]:
        """Kind and place of all events, oldest first."""
        return [(event.change, event.path) for event in await self.drift()]

    async def versions(self) -> list[SchemaVersion]:
        """All versions, oldest first."""
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.schemas.newest("watched")))

    async def rejections(self) -> list[StoredRejection]:
        """All rejections, oldest first."""
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.rejections.list(RejectionQuery(limit=1000))))

    async def accept(self) -> None:
        """What `kasparro schema accept` does."""
        newest = (await self.versions())[-1]
        async with self.store.begin() as work:
            await work.schemas.save(replace(newest, accepted_at=self.clock.now()))
            await work.commit()
