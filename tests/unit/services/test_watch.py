"""Runs that stand out, told by the unit of work that ends them: the whole way from a source to its findings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from scripted import EPOCH, LinesDecoder, SteppingClock, Told, batch_of

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import KasparroError, PermanentSourceError
from kasparro_core.model import (
    AnomalyQuery,
    AnomalyScope,
    AnomalyState,
    Batch,
    EventType,
    FetchFacts,
    Metric,
    RunFacts,
    RunStatus,
    Trigger,
)
from kasparro_core.model.anomaly import Anomaly
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import ReadContext
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner
from kasparro_core.services.watch import past_of

NAME = "hourly"
MAPPING = RecordMapping(source=NAME, kind="item", key=["id"], value="price", occurred_at="at")
HOUR = 3600.0
UNCHANGED = "not modified"
DOWN = PermanentSourceError("the upstream is down", source=NAME, code="status")

Said = int | str | KasparroError
"""What a run is answered: so many items, UNCHANGED, or an error."""


@dataclass
class HourlySource:
    """Answers each run with one page of as many items as it is told, as old as it is told."""

    clock: SteppingClock
    says: Said = 0
    took: float = 0.1
    age: float = 60.0
    stopped: float | None = None
    empty: int = 0
    name: str = NAME
    items: int = field(default=0)

    async def partitions(self) -> Sequence[str]:
        return ("",)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        if isinstance(self.says, KasparroError):
            raise self.says
        at = self.clock.now()
        if isinstance(self.says, str):
            yield Batch({}, FetchFacts(at, status=304, requests=1))
            return
        rows = [self._row(number, self.stopped or at.timestamp() - self.age) for number in range(self.says)]
        batch = batch_of(rows, {}, at)
        yield replace(batch, fetch=replace(batch.fetch, took=(self.took,)))

    def _row(self, number: int, at: float) -> dict[str, Any]:
        self.items += 1
        volume = None if number < self.empty else 1
        return {"id": str(self.items), "price": "1.5", "at": at, "volume": volume}


class Desk:
    """A source that runs every hour, or as often as `every` says."""

    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.source = HourlySource(self.clock)
        self.told = Told()
        self.runner = Runner(self.store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, self.told)
        self.options: dict[str, Any] = {}
        self.every = HOUR

    async def run(self, says: Said, *, full: bool = False, trigger: Trigger = Trigger.SCHEDULE) -> list[str]:
        """One run, later than the one before; the metrics that it was told of."""
        before = len(self.told.events)
        self.clock.skip(self.every)
        self.source.says = says
        await self.runner.run(SourceJob(self.source, MAPPING, **self.options), trigger=trigger, full=full)
        return [event[3]["metric"] for event in self.told.events[before:] if event[2:3] == (str(EventType.ANOMALY),)]

    async def runs(self, *says: Said) -> list[list[str]]:
        return [await self.run(each) for each in says]

    async def found(self, **filters: Any) -> list[Anomaly]:
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.findings.anomalies(AnomalyQuery(source=NAME, **filters))))


WELL = (100, 97, 104, 99, 101, 100, 98, 103, 100, 99)
"""Ten runs of a source that is well."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_half_of_the_items_missing_is_told_with_its_numbers(desk: Desk) -> None:
    """Nothing is told of a source that is well; a run that brings far less is one finding, an event, and a figure of
    the totals, in its own transaction."""
    assert await desk.runs(*WELL) == [[]] * len(WELL)
    assert await desk.run(35) == ["fetched"]
    (finding,) = await desk.found()
    assert (finding.scope, finding.found, finding.run_id) == (AnomalyScope.RUN, 35, len(WELL) + 1)
    assert finding.expected_low is not None
    assert 35 < finding.expected_low < 97
    assert finding.explanation.startswith("It fetched 35 items, less than the ")
    assert finding.evidence["samples"] == 10
    async with desk.store.begin(write=False) as work:
        (total,) = [each for each in await work.totals.list(NAME) if each.metric is Metric.ANOMALIES]
        assert (total.label, total.value) == ("fetched", 1)


async def test_nothing_where_there_was_something_stands_until_something_comes(desk: Desk) -> None:
    """The first empty run is told of itself; those that follow are one finding of the source, which grows and is not
    told again; a run that brings something resolves it, and the next empty one is told anew."""
    await desk.runs(*WELL)
    assert await desk.runs(0, 0, 0, 0) == [["fetched"], ["fetched"], [], []]
    first, standing = await desk.found()
    assert (first.scope, standing.scope, standing.times) == (AnomalyScope.RUN, AnomalyScope.SOURCE, 3)
    assert standing.explanation == "4 runs in a row fetched nothing, where earlier runs usually fetched 100 items."
    assert await desk.run(100) == []
    assert [each.state for each in await desk.found()] == [AnomalyState.OPEN, AnomalyState.RESOLVED]
    assert await desk.run(0) == ["fetched"]


async def test_a_failure_after_successes_is_told_once(desk: Desk) -> None:
    """So is a row of them; the success after it resolves what stood. A source that never worked is not told of."""
    assert await desk.run(DOWN) == []
    await desk.runs(*WELL)
    assert await desk.runs(DOWN, DOWN, DOWN) == [["failed"], ["failed"], []]
    first, standing = await desk.found()
    assert first.explanation == "The run failed where the one before had not: the upstream is down"
    assert (standing.scope, standing.found, standing.times) == (AnomalyScope.SOURCE, 3, 2)
    assert await desk.run(100) == []
    assert [each.scope for each in await desk.found(state=AnomalyState.RESOLVED)] == [AnomalyScope.SOURCE]


async def test_a_source_that_fails_now_and_then_is_one_finding(desk: Desk) -> None:
    """The third failure among the last runs is about the source; the ones after it are not told again."""
    await desk.runs(*WELL)
    told = [await desk.run(each) for _ in range(5) for each in (DOWN, 100, 100)]
    assert [metrics for metrics in told if metrics] == [["failed"]] * 3
    (standing,) = await desk.found(scope=AnomalyScope.SOURCE)
    assert (standing.times, standing.state) == (3, AnomalyState.OPEN)


async def test_what_did_not_change_is_not_missing(desk: Desk) -> None:
    """Runs that were answered with 304 are neither empty nor part of what is usual."""
    await desk.runs(*WELL)
    assert await desk.runs(*[UNCHANGED] * 12) == [[]] * 12
    assert await desk.run(30) == ["fetched"]


@pytest.mark.parametrize("how", [{"trigger": Trigger.BACKFILL}, {"full": True}])
async def test_runs_that_ask_for_something_else_are_not_compared(desk: Desk, how: dict[str, Any]) -> None:
    """A backfill is no run of the source as it is now, and a full one brings more than any other: neither is judged,
    nor are others by it."""
    await desk.runs(*WELL)
    for _ in range(8):
        assert await desk.run(900, **how) == []
    assert await desk.run(30) == ["fetched"]


async def test_what_has_gathered_is_not_too_much(desk: Desk) -> None:
    """After a pause, and after a failure, a run brings what came meanwhile."""
    await desk.runs(*WELL)
    desk.clock.skip(3 * HOUR)
    assert await desk.run(400) == []
    assert await desk.runs(DOWN, 200) == [["failed"], []]


async def test_a_source_can_do_without(desk: Desk) -> None:
    """With `anomalies = false` nothing is judged."""
    desk.options = {"anomalies": False}
    assert await desk.runs(*WELL, 0, 10, DOWN) == [[]] * (len(WELL) + 3)
    assert await desk.found() == []


async def test_a_new_level_is_told_three_times(desk: Desk) -> None:
    """A source that is twice as large from now on is told of, and then that is how it is."""
    await desk.runs(*WELL, *WELL)
    told = await desk.runs(*[250] * 20)
    assert sum(map(len, told)) == 3
    assert told[3:] == [[]] * 17


async def test_answers_that_are_slow_twice_in_a_row(desk: Desk) -> None:
    """One answer that hangs is not told; when the next run is as slow, it is, once for the answers and the run."""
    await desk.runs(*WELL)
    desk.source.took = 5.0
    assert await desk.run(100) == []
    assert await desk.run(100) == ["latency_p95"]


async def test_a_field_that_is_emptied(desk: Desk) -> None:
    """The share of items without a value is compared path by path; the finding names the path."""
    await desk.runs(*WELL)
    desk.source.empty = 40
    assert await desk.run(100) == ["null_rate"]
    (finding,) = await desk.found()
    assert finding.subject == "volume"
    assert finding.explanation.startswith("`volume` was empty in 40 % of its items, more than the ")


async def test_time_that_goes_back_or_stands_still(desk: Desk) -> None:
    """An older newest item than before is told at once; one that does not move any more when it used to, as a finding
    of the source that is over when it moves again."""
    desk.every = 26 * HOUR
    await desk.runs(*WELL)
    desk.source.age = 28 * HOUR
    assert await desk.run(100) == ["backwards"]
    desk.source.age = 60.0
    assert await desk.run(100) == []
    desk.source.stopped = desk.clock.now().timestamp()
    assert await desk.runs(*[100] * 3) == [["lag"], [], []]
    (standing,) = await desk.found(scope=AnomalyScope.SOURCE)
    assert standing.state is AnomalyState.OPEN
    desk.source.stopped = None
    assert await desk.run(100) == []
    assert await desk.found(scope=AnomalyScope.SOURCE, state=AnomalyState.OPEN) == []


async def test_one_cause_is_one_finding(desk: Desk) -> None:
    """Fewer items change bytes, requests and time too: figures that go together are told once, with their numbers."""
    await desk.runs(*WELL)
    assert await desk.run(30) == ["fetched"]
    (finding,) = await desk.found()
    assert set(finding.evidence) == {"median", "spread", "samples", "basis", "also"}


async def test_what_a_run_is_compared_with_is_bounded() -> None:
    """The newest 200 runs, and of each week before those at the same hour, without reading what lies between."""
    store = MemoryStore(SteppingClock().now)
    async with store.begin() as work:
        for number in range(15 * 96):
            run = await work.runs.start(NAME, Trigger.SCHEDULE, EPOCH + number * timedelta(minutes=15))
            run = await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, run.started_at)
            await work.runs.put_facts(run.run_id, RunFacts(comparable=True))
        at = EPOCH + 15 * 96 * timedelta(minutes=15)
        past = await past_of(work, await work.runs.start(NAME, Trigger.SCHEDULE, at))
        early = await past_of(work, replace(run, run_id=100))
    assert [each.run_id for each in past.newest] == list(range(15 * 96, 15 * 96 - 200, -1))
    assert len(past.alike) == 2 * 12
    assert {(at - each.started_at).days for each in past.alike} <= {6, 7, 13, 14}
    assert len(past.figures()) == 200 + 2 * 12
    assert (len(early.newest), early.alike) == (99, ())
