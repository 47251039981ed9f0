"""Findings on their way from a run to its listeners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import Anomaly, AnomalyScope, AnomalyState, Event, EventType, Metric, Mute, Run
from kasparro_core.services.alarms import MOST_TOLD, Looked, tell
from kasparro_core.testing.anomalies import anomaly, close, listed, standing
from kasparro_core.testing.build import committed_run, later


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture
async def run(store: MemoryStore) -> Run:
    """A run of the findings' source."""
    return await committed_run(store, "s")


async def told(
    store: MemoryStore, run: Run, found: Sequence[Anomaly], *, second: float = 1, looked: Looked | None = None
) -> list[Event]:
    """Tell findings, as the end of a run does."""
    async with store.begin() as work:
        events = await tell(work, found, run, later(second), looked=looked)
        await work.commit()
    return events


async def totals(store: MemoryStore) -> dict[tuple[str, str], int]:
    """What was counted, by source and metric."""
    async with store.begin(write=False) as work:
        rows = await work.totals.list()
    return {(row.source, row.label): row.value for row in rows if row.metric is Metric.ANOMALIES}


async def test_a_finding_is_kept_counted_and_told(store: MemoryStore, run: Run) -> None:
    """The event has the sentence, the range and the numbers behind it, and the id under which it is kept."""
    (event,) = await told(store, run, [anomaly(evidence={"median": 3})], second=7)
    (kept,) = await listed(store)
    assert (event.type, event.source, event.run_id, event.at) == (EventType.ANOMALY, "s", 1, later(7))
    assert event.data == {
        "anomaly_id": kept.anomaly_id,
        "scope": "run",
        "metric": "fetched",
        "subject": "",
        "found": kept.found,
        "expected_low": kept.expected_low,
        "expected_high": kept.expected_high,
        "explanation": kept.explanation,
        "evidence": {"median": 3},
    }
    assert await totals(store) == {("s", "fetched"): 1}


async def test_what_is_known_or_muted_is_neither_told_nor_counted(store: MemoryStore, run: Run) -> None:
    """A standing one that is seen again, and one under a mute; each of another source counts there."""
    async with store.begin() as work:
        await work.findings.add_mute(Mute("s", later(0), metric="spread"))
        await work.commit()
    found = [standing(), standing(metric="spread"), standing(source="other")]
    assert len(await told(store, run, found)) == 2
    assert await told(store, run, found) == []
    assert await totals(store) == {("s", "value"): 1, ("other", "value"): 1}


async def test_many_at_once_are_counted_and_some_are_told(store: MemoryStore, run: Run) -> None:
    """The stream of events is bounded; list and counter have all."""
    found = [standing(f"k{n}") for n in range(MOST_TOLD + 50)]
    events = await told(store, run, found)
    assert [event.data["subject"] for event in events] == [f"k{n}" for n in range(MOST_TOLD)]
    assert await totals(store) == {("s", "value"): MOST_TOLD + 50}
    assert len(await listed(store, limit=1000)) == MOST_TOLD + 50


async def test_what_was_looked_at_and_is_sound_is_resolved(store: MemoryStore, run: Run) -> None:
    """Acknowledged or not; what stands still, was not looked at, belongs to another source, or is of a run stays."""
    others = [standing("sound", source="other"), anomaly("value")]
    found = [standing(name) for name in ("sound", "known", "worse", "unseen")]
    await told(store, run, [*found, *others])
    known = next(each for each in await listed(store) if each.subject == "known")
    await close(store, [known.anomaly_id], AnomalyState.ACKNOWLEDGED, by="me")
    await told(store, run, [standing("worse", second=9)], second=9, looked=lambda _, subject: subject != "unseen")
    after = {(each.source, each.subject): each for each in await listed(store)}
    assert {name: str(each.state) for name, each in after.items()} == {
        ("s", "sound"): "resolved",
        ("s", "known"): "resolved",
        ("s", "worse"): "open",
        ("s", "unseen"): "open",
        ("other", "sound"): "open",
        ("s", ""): "open",
    }
    assert after["s", "sound"].closed_at == later(9)
    assert after["s", "worse"].times == 2


async def test_nothing_is_resolved_by_who_did_not_look(store: MemoryStore, run: Run) -> None:
    """A run that found nothing and looked at nothing leaves everything as it is."""
    await told(store, run, [standing()])
    assert await told(store, run, []) == []
    assert await told(store, run, [], looked=lambda metric, _: metric == "spread") == []
    assert [each.state for each in await listed(store)] == [AnomalyState.OPEN]


async def test_what_comes_back_is_told_again(store: MemoryStore, run: Run) -> None:
    """An acknowledged one that persists is not; once it was sound in between it is, and counts again."""
    await told(store, run, [standing()])
    await close(store, [1], AnomalyState.ACKNOWLEDGED)
    everything: Looked = lambda _metric, _subject: True
    assert await told(store, run, [standing(second=2)], looked=everything) == []
    assert await told(store, run, [], second=3, looked=everything) == []
    (event,) = await told(store, run, [standing(second=4)], second=4, looked=everything)
    assert event.data["anomaly_id"] == 2
    assert await totals(store) == {("s", "value"): 2}


async def test_a_subject_of_any_length_can_be_kept(store: MemoryStore, run: Run) -> None:
    """One that no index holds is shortened to its beginning and a hash, the same each time."""
    long = replace(standing("k" * 5_000), scope=AnomalyScope.SOURCE)
    await told(store, run, [long, replace(long, subject="k" * 5_001), standing("k" * 2_000)])
    assert await told(store, run, [long]) == []
    lengths = sorted(len(each.subject) for each in await listed(store))
    assert lengths[:2] == [lengths[0]] * 2
    assert lengths[0] < 200
    assert lengths[2] == 2_000
