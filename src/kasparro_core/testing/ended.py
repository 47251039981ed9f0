"""The contract of RunLog: runs that are over, and the totals they leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import Counters, LatestRuns, Metric, Run, RunStatus, Trigger
from kasparro_core.ports import Store
from kasparro_core.testing.build import committed_run, later

COUNTERS = Counters(*range(1, len(Counters._fields) + 1))
"""Counters that are all different."""

NOTHING = Counters()


class EndedRunContract:
    """Part of RunLogContract."""

    async def test_knows_the_latest_runs_of_each_source(self, store: Store) -> None:
        """Per source: the newest run, its newest success and its newest failure, by whatever status of these."""
        assert await _latest(store) == []
        ended = [
            ("b", RunStatus.FAILED),
            ("a", RunStatus.SUCCEEDED),
            ("b", RunStatus.DEGRADED),
            ("b", RunStatus.INTERRUPTED),
            ("a", RunStatus.UNCHANGED),
        ]
        runs = [await _ended(store, source, status, n) for n, (source, status) in enumerate(ended)]
        running = await committed_run(store, "a", later(9))
        alone = await committed_run(store, "ü", later(9))
        a = LatestRuns("a", running, success=runs[4])
        b = LatestRuns("b", runs[3], success=runs[2], failure=runs[3])
        assert await _latest(store) == [a, b, LatestRuns("ü", alone)]
        assert await _latest(store, "b") == [b]
        assert await _latest(store, "none") == []

    async def test_the_latest_runs_are_of_the_present(self, store: Store) -> None:
        """A replay and a backfill are no news of the source, however they end: the run before them stays the newest."""
        live = await _ended(store, "s", RunStatus.FAILED, 0)
        for second, trigger in enumerate((Trigger.REPLAY, Trigger.BACKFILL), 1):
            async with store.begin() as work:
                run = await work.runs.start("s", trigger, later(second))
                await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, later(second))
                await work.commit()
        assert await _latest(store) == [LatestRuns("s", live, failure=live)]

    async def test_a_finished_run_is_added_to_the_totals(self, store: Store) -> None:
        """What it counted, its status and its duration; of a counter of 0 nothing. The sums grow run by run."""
        counters = Counters(10, 1, 2, 3, 4, batches=7, bytes_fetched=2**40, requests=5, retries=6, throttled=0)
        await _ended(store, "s", RunStatus.DEGRADED, 0, took=timedelta(seconds=2, microseconds=1), counters=counters)
        expected = {
            (Metric.RECORDS, "inserted"): 1,
            (Metric.RECORDS, "updated"): 2,
            (Metric.RECORDS, "unchanged"): 3,
            (Metric.RECORDS, "rejected"): 4,
            (Metric.RUNS, "degraded"): 1,
            (Metric.DURATION, ""): 2_000_001,
            (Metric.DURATION_BUCKET, "2.5"): 1,
            (Metric.REQUESTS, ""): 5,
            (Metric.BYTES, ""): 2**40,
        }
        assert await _totals(store, "s") == expected
        await _ended(store, "s", RunStatus.FAILED, 5, counters=Counters(requests=2, throttled=1))
        assert await _totals(store, "s") == {
            **expected,
            (Metric.RUNS, "failed"): 1,
            (Metric.DURATION_BUCKET, "0.5"): 1,
            (Metric.REQUESTS, ""): 7,
            (Metric.THROTTLED, ""): 1,
        }
        assert await _totals(store, "other") == {}

    @pytest.mark.parametrize(
        ("seconds", "label"),
        [(0, "0.5"), (0.5, "0.5"), (0.500001, "1.0"), (1, "1.0"), (3600, "3600.0"), (3600.000001, "+Inf"), (-9, "0.5")],
    )
    async def test_a_run_counts_in_the_first_bound_that_holds_it(
        self, store: Store, seconds: float, label: str
    ) -> None:
        """Bounds are inclusive; a clock that was set back makes no negative duration."""
        await _ended(store, "s", RunStatus.SUCCEEDED, 0, took=timedelta(seconds=seconds))
        found = await _totals(store, "s")
        assert {label: n for (metric, label), n in found.items() if metric is Metric.DURATION_BUCKET} == {label: 1}
        assert found.get((Metric.DURATION, ""), 0) == max(0, round(seconds * 1_000_000))

    async def test_what_was_not_finished_is_in_no_total(self, store: Store) -> None:
        """A running run, a finish that is rolled back, and one that is refused leave the sums as they are."""
        run = await _ended(store, "s", RunStatus.FAILED, 0, counters=COUNTERS)
        before = await _totals(store, "s")
        running = await committed_run(store, "s")
        async with store.begin() as work:
            await work.runs.add(running.run_id, COUNTERS)
            await work.runs.finish(running.run_id, RunStatus.SUCCEEDED, later(1))
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, later(2))
        assert await _totals(store, "s") == before


async def _ended(
    store: Store,
    source: str,
    status: RunStatus,
    second: float,
    *,
    took: timedelta = timedelta(0),
    counters: Counters = NOTHING,
) -> Run:
    """A run that began at that second and is over."""
    run = await committed_run(store, source, later(second))
    async with store.begin() as work:
        await work.runs.add(run.run_id, counters)
        ended = await work.runs.finish(run.run_id, status, later(second) + took)
        await work.commit()
    return ended


async def _latest(store: Store, source: str | None = None) -> Sequence[LatestRuns]:
    async with store.begin(write=False) as work:
        return list(await work.runs.latest(source))


async def _totals(store: Store, source: str) -> dict[tuple[Metric, str], int]:
    async with store.begin(write=False) as work:
        return {(total.metric, total.label): total.value for total in await work.totals.list(source)}
