"""Kept and rejected add up to received, in every run, and the share of what was rejected decides its end."""

from __future__ import annotations

import random
from typing import Any

import pytest
from mended import MENDED, WRONG, Mended, story
from scripted import ScriptedSource

from kasparro_core.model import Counters, Run, RunQuery, RunStatus, UpsertOutcome
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.keeping import Kept, counted
from kasparro_core.services.outcome import verdict
from kasparro_core.services.prepare import Slice
from kasparro_core.services.replay_scope import REFUSED
from kasparro_core.services.run import Runner
from kasparro_core.testing.build import prepared, record, rejection

STRANGE: list[Any] = [
    {}, {"id": None}, {"id": ""}, {"id": {"a": 1}, "price": 1}, {"id": "k", "price": float("inf")},
    {"id": "k", "price": True}, {"id": "\ud800", "price": 1}, {"id": "k", "price": "1e9999"}, {"price": 3},
    {"id": "long" * 2000, "price": 1}, {"id": "k", "price": 1}, {"id": "k", "price": 1}, {"id": "k\0", "price": "2"},
]  # fmt: skip
"""Items of all kinds: sound, given twice, without key, with values that no database holds."""


async def ledger(bench: Mended) -> list[Run]:
    """All runs."""
    async with bench.store.begin(write=False) as work:
        return await work.runs.list(RunQuery(limit=1_000))


async def test_kept_and_rejected_are_received_in_every_run() -> None:
    """Over many stories, loaded, replayed as a whole and in part: each run's counters add up, and what was received is
    what the source had."""
    for seed in range(15):
        bench, loads = Mended(), story(seed)
        await bench.load(WRONG, *loads)
        await bench.replay(MENDED, scope=REFUSED)
        await bench.replay(WRONG)
        runs = await ledger(bench)
        assert all(run.counters.add_up for run in runs), runs
        had = [sum(len(page) for pages in load.values() for page in pages) for load in loads]
        assert [run.counters.fetched for run in reversed(runs)][: len(loads)] == had
        assert runs[0].counters.fetched == sum(had)


async def test_items_of_all_kinds_are_kept_or_rejected() -> None:
    """Whatever the items are: none is lost, none is counted twice."""
    for seed in range(20):
        rng = random.Random(seed)
        bench = Mended()
        items = [rng.choice(STRANGE) for _ in range(rng.randint(1, 40))]
        run = await bench.load(WRONG, {"": [items]})
        assert run is not None
        assert run.counters.fetched == len(items)
        assert run.counters.add_up
        assert sum(each.times for each in await bench.rejections() if each.stage != "field") == run.counters.rejected


@pytest.mark.parametrize("outcome", [UpsertOutcome(inserted=1), UpsertOutcome(inserted=2, updated=1)])
def test_a_batch_that_does_not_add_up_is_a_bug(outcome: UpsertOutcome) -> None:
    """One item too few, or too many, is an error before anything is committed."""
    part = Slice(4, 4, [prepared(record("a")), prepared(record("b")), prepared(record("c"))], (rejection(3),), ())
    assert counted(part, Kept(UpsertOutcome(1, 1, 1))) == Counters(4, 1, 1, 1, 1, batches=1)
    with pytest.raises(RuntimeError, match="4 items came in"):
        counted(part, Kept(outcome if outcome.updated == 0 else UpsertOutcome(3, 1)))


async def test_a_store_that_loses_an_item_fails_the_run_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that says nothing of one record: the run fails as a bug does, its position stays, no record is there."""
    bench = Mended()
    records = type((await _unit(bench)).records)

    async def forgetful(_self: Any, given: Any, _seen: Any) -> UpsertOutcome:
        return UpsertOutcome(inserted=len(given) - 1)

    monkeypatch.setattr(records, "upsert", forgetful)
    source = ScriptedSource({"": [[{"id": "a", "price": 1}, {"id": "b", "price": 2}]]})
    with pytest.raises(RuntimeError, match="2 items came in"):
        await Runner(*bench.parts()).run(SourceJob(source, WRONG))
    (run,) = await ledger(bench)
    assert (run.status, run.error_code, run.counters) == (RunStatus.FAILED, "internal", Counters())
    async with bench.store.begin(write=False) as work:
        assert await work.checkpoints.list() == []
        assert await work.raw.get(1) is None


async def _unit(bench: Mended) -> Any:
    async with bench.store.begin(write=False) as work:
        return work


@pytest.mark.parametrize(
    ("fetched", "rejected", "status"),
    [
        (19, 19, RunStatus.SUCCEEDED),
        (20, 20, RunStatus.FAILED),
        (20, 0, RunStatus.SUCCEEDED),
        (20, 1, RunStatus.SUCCEEDED),
        (20, 2, RunStatus.DEGRADED),
        (20, 10, RunStatus.DEGRADED),
        (20, 11, RunStatus.FAILED),
        (100_000, 5_000, RunStatus.SUCCEEDED),
        (100_000, 5_001, RunStatus.DEGRADED),
        (100_000, 50_000, RunStatus.DEGRADED),
        (100_000, 50_001, RunStatus.FAILED),
    ],
)
def test_the_borders_of_the_budgets(fetched: int, rejected: int, status: RunStatus) -> None:
    """A share as high as its limit is within it, one item more is not; below 20 items nothing is judged."""
    counters = Counters(fetched=fetched, inserted=fetched - rejected, rejected=rejected)
    end = verdict(counters, {}, 1, max_rejected=0.05, fail_rejected=0.5)
    assert end.status is status
    assert (end.error_code == "rejected") is (status is not RunStatus.SUCCEEDED)


@pytest.mark.parametrize(("most", "status"), [(0.0, RunStatus.FAILED), (1.0, RunStatus.SUCCEEDED)])
def test_budgets_of_nothing_and_of_everything(most: float, status: RunStatus) -> None:
    """0 tolerates none of 20 items, 1 tolerates all of them."""
    for rejected in (1, 20):
        counters = Counters(fetched=20, inserted=20 - rejected, rejected=rejected)
        assert verdict(counters, {}, 1, max_rejected=most, fail_rejected=most).status is status
