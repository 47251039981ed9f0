"""What is known of a source's partitions: as it was when a run began, and as the run learns it.

A row of `partitions` is written once for each run, at its end, and at once where a gap was seen: that has to be on
record together with the items behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kasparro_core.errors import GoneError, KasparroError, TransientSourceError
from kasparro_core.model import GONE, Departed, Event, EventType, Metric, PartitionNews, PartitionState, Run
from kasparro_core.model.window import Window
from kasparro_core.policy.courtesy import Hold, hold_of
from kasparro_core.ports import Originated, Source, Store, UnitOfWork
from kasparro_core.services.events import gone_refused
from kasparro_core.services.glance import Glance
from kasparro_core.services.latency import Latencies
from kasparro_core.services.partition_names import is_fit
from kasparro_core.services.shapes import ShapeBook

LONGEST_WAIT = timedelta(days=1)
"""A Retry-After beyond this is not believed."""


def origin_of(source: Source, partition: str) -> str | None:
    """The fingerprint of what a partition is read from, as far as its source tells it."""
    return source.origin(partition) if isinstance(source, Originated) else None


async def whole_hold(work: UnitOfWork, source: Source, now: datetime) -> Hold | None:
    """What keeps a timed run from a source that is one whole. None also for a list, whose partitions are looked at one
    by one when it runs."""
    states = {state.partition: state for state in await work.partitions.list(source.name)}
    reads = await _reads(work, source, states.values())
    return hold_of(states.get(""), origin_of(source, ""), now, reads.get(""))


async def _reads(work: UnitOfWork, source: Source, states: Iterable[PartitionState]) -> Mapping[str, datetime]:
    """When the partitions were read last; nothing where no partition has quiet hours, which alone ask for it."""
    if not any(state.quiet for state in states):
        return {}
    return {each.partition: each.updated_at for each in await work.checkpoints.list(source.name)}


class PartitionBook:
    """The partitions of one source during one run. `whole`: it has just one, so that what is not in that is nowhere in
    the source; `departed` is what was not in it. `shapes`: what its items look like, watched in runs of the live
    source alone. `latencies`: how long its requests took. `glance`: whether anything was left out."""

    def __init__(
        self, source: Source, states: Iterable[PartitionState] = (), reads: Mapping[str, datetime] | None = None
    ) -> None:
        self._source = source
        self._reads = reads or {}
        self._before = {state.partition: state for state in states}
        self._now: dict[str, PartitionState] = dict(self._before)
        self._news: dict[str, PartitionNews] = {}
        self.whole = False
        self.departed: Departed | None = None
        self.shapes: ShapeBook | None = None
        self.latencies = Latencies()
        self.glance = Glance()

    @classmethod
    async def load(cls, store: Store, source: Source) -> PartitionBook:
        """With what the store knows. Raises StorageError."""
        async with store.begin(write=False) as work:
            states = await work.partitions.list(source.name)
            return cls(source, states, await _reads(work, source, states))

    def hold(self, partition: str, now: datetime) -> Hold | None:
        """What keeps a timed run from a partition."""
        origin = origin_of(self._source, partition)
        return hold_of(self._before.get(partition), origin, now, self._reads.get(partition))

    def failed(self, partition: str) -> bool:
        """True when its last read failed."""
        before = self._before.get(partition)
        return before is not None and before.state != "ok"

    async def write_gap(self, work: UnitOfWork, gap: Event) -> None:
        """In the unit of work of the items behind the gap: its event, the partition's row, the total."""
        await work.partitions.save(self._with_gap(gap))
        await work.totals.add(gap.source, {(Metric.GAPS, ""): 1})
        await work.events.append(gap)

    def learned(self, partition: str, news: PartitionNews, gap: Event | None) -> None:
        """A batch with this news, and this gap, is committed."""
        self._news[partition] = news
        if gap is not None:
            self._now[partition] = self._with_gap(gap)

    def listing(self, partition: str) -> str | None:
        """What the records were last compared with."""
        return self._state(partition).listing

    def compared(self, partition: str, listing: str) -> None:
        """They were compared with this listing now."""
        self._now[partition] = replace(self._state(partition), listing=listing)

    async def end(
        self, work: UnitOfWork, ended: Mapping[str, KasparroError | None], run: Run, at: datetime
    ) -> Sequence[Event]:
        """Write how the partitions did that came to an end, each with its error if it failed; of the others nothing new
        is known. Returns the events to be appended. May be called again when the unit of work is done again."""
        events: list[Event] = []
        for partition, error in {**self._recovered(ended), **ended}.items():
            if is_fit(partition) and not self._speaks_for_itself(partition, error):
                state = self._ended(partition, error, at)
                await work.partitions.save(state)
                events += _events(self._before.get(partition), state, run, at)
        if self.departed is not None and self.departed.refused:
            events.append(gone_refused(run, self.departed, at))
        return events

    def _recovered(self, ended: Mapping[str, KasparroError | None]) -> Mapping[str, None]:
        """The list itself, where it could not be read before and can now."""
        others = [name for name in ended if Window.of(name) is None]
        return {"": None} if others and "" not in ended and self.failed("") else {}

    def _speaks_for_itself(self, partition: str, error: KasparroError | None) -> bool:
        """A window of a backfill that never failed: its position says that it is complete. Thousands of rows that say
        nothing else would be read with every run."""
        return error is None and partition not in self._before and Window.of(partition) is not None

    def _ended(self, partition: str, error: KasparroError | None, at: datetime) -> PartitionState:
        state, origin = self._state(partition), origin_of(self._source, partition)
        if state.origin != origin:  # what was known is about another address
            state = replace(state, origin=origin, url=None, quiet=None, next_at=None)
        if error is None:
            news = self._news.get(partition, PartitionNews())
            return replace(state, state="ok", last_error=None, next_at=news.next_at, url=news.url, quiet=news.quiet)
        word = GONE if isinstance(error, GoneError) else "failed"
        return replace(state, state=word, last_error=str(error), next_at=_asked_for(error, at))

    def _with_gap(self, gap: Event) -> PartitionState:
        state = self._state(gap.data["partition"])
        return replace(state, gaps=state.gaps + 1, gap_at=gap.at)

    def _state(self, partition: str) -> PartitionState:
        return self._now.get(partition) or PartitionState(self._source.name, partition)


def gap_event(run: Run, partition: str, news: PartitionNews, since: datetime | None, at: datetime) -> Event | None:
    """Everything in a document was new: items in between may be lost. `since`: when the one before it was read. None:
    there is no gap."""
    if not news.gap:
        return None
    data = {"partition": partition, "items": news.gap, "since": since.isoformat() if since else None}
    return Event(EventType.FEED_GAP, run.source, run.run_id, at, data)


def _asked_for(error: KasparroError, at: datetime) -> datetime | None:
    """The end of the Retry-After that a request was given up with."""
    if not isinstance(error, TransientSourceError) or not error.retry_after:
        return None
    return at + min(timedelta(seconds=min(error.retry_after, 1e9)), LONGEST_WAIT)


def _events(before: PartitionState | None, state: PartitionState, run: Run, at: datetime) -> list[Event]:
    was, moved_from = (before.state, before.url) if before else ("ok", None)
    events = []
    if state.state == GONE and was != GONE:
        events.append((EventType.FEED_GONE, {"error": state.last_error}))
    if state.url != moved_from:
        events.append((EventType.FEED_MOVED, {"from": moved_from, "url": state.url}))
    return [Event(kind, run.source, run.run_id, at, {"partition": state.partition, **data}) for kind, data in events]
