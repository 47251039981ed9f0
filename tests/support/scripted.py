"""A source, a decoder and a clock that do exactly what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kasparro_core.errors import KasparroError
from kasparro_core.model import Batch, Counters, Decoded, Event, FetchFacts, RawPayload, RawRecord, Rejection, Run
from kasparro_core.ports import ReadContext

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


class SteppingClock:
    """Each look moves the time on by a microsecond; a short sleep moves it on by what was asked and yields once.

    A sleep longer than `patience` (a heartbeat) never ends by itself.
    """

    patience = 10.0

    def __init__(self, start: datetime = EPOCH) -> None:
        self._now = start
        self._start = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        self._now += timedelta(microseconds=1)
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def skip(self, seconds: float) -> None:
        """Let time go by in which nobody sleeps."""
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        if seconds > self.patience:
            await asyncio.Event().wait()
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class LinesDecoder:
    """Decodes a JSON array of objects."""

    def decode(self, raw: RawPayload, /) -> Decoded:
        return Decoded([RawRecord(i, row) for i, row in enumerate(json.loads(raw.payload))])


Page = Sequence[dict[str, Any]] | KasparroError
"""The items of one page, or the error that stands in its place."""


@dataclass
class ScriptedSource:
    """Serves the given pages per partition; its cursor is {"page": the next one}. Remembers which pages it was asked
    for in `asked`."""

    pages: dict[str, list[Page]]
    name: str = "scripted"
    clock: SteppingClock = field(default_factory=SteppingClock)
    asked: list[tuple[str, int]] = field(default_factory=list)
    before_page: Any = None

    async def partitions(self) -> Sequence[str]:
        return list(self.pages)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        start = 0 if context.cursor is None or context.full else int(context.cursor["page"])
        for number, page in enumerate(self.pages[partition][start:], start):
            self.asked.append((partition, number))
            if self.before_page is not None:
                await self.before_page(partition, number)
            if isinstance(page, KasparroError):
                raise page
            yield batch_of(page, {"page": number + 1}, self.clock.now())


def batch_of(rows: Sequence[dict[str, Any]], cursor: dict[str, Any], at: datetime) -> Batch:
    """A batch as a source of JSON pages yields it."""
    raw = RawPayload(json.dumps(list(rows)).encode(), {"format": "lines"})
    items = LinesDecoder().decode(raw).items
    return Batch(
        cursor, FetchFacts(at, url="test:", status=200, bytes_fetched=len(raw.payload), requests=1), raw, items
    )


@dataclass
class Told:
    """An observer that remembers what it was told."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def run_started(self, run: Run, /) -> None:
        self.events.append(("started", run.run_id))

    def run_waiting(self, source: str, run_id: int | None, /) -> None:
        self.events.append(("waiting", source, run_id))

    def run_taken_over(self, run: Run, dead_run_id: int, /) -> None:
        self.events.append(("taken_over", run.run_id, dead_run_id))

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        self.events.append(("committed", run.run_id, partition, delta))

    def rejected(self, run: Run, partition: str, rejections: tuple[Rejection, ...], /) -> None:
        self.events.append(("rejected", run.run_id, partition, len(rejections)))

    def noted(self, run: Run, event: Event, /) -> None:
        self.events.append(("noted", run.run_id, str(event.type), dict(event.data)))

    def partition_failed(self, run: Run, partition: str, error: KasparroError, /) -> None:
        self.events.append(("failed", run.run_id, partition, error.code))

    def run_finished(self, run: Run, /) -> None:
        self.events.append(("finished", run.run_id, str(run.status)))

    def kinds(self) -> list[str]:
        """The kinds of events, in order."""
        return [event[0] for event in self.events]
