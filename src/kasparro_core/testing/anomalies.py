"""The contract of FindingStore, of what stands out: what is kept, what is told, what it becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from kasparro_core.model.anomaly import Anomaly, AnomalyQuery, AnomalyScope, AnomalyState
from kasparro_core.model.service import Bound, Prunable, Pruned
from kasparro_core.ports import Store
from kasparro_core.testing.build import later
from kasparro_core.testing.pruning import prunable, prune

_FLOATLESS = Decimal("-0.1000000000000000055511151231257827")


def anomaly(metric: str = "fetched", *, second: float = 1, **fields: Any) -> Anomaly:
    """A finding of a run, by figures that no float holds."""
    given: dict[str, Any] = {
        "source": "s",
        "run_id": 1,
        "scope": AnomalyScope.RUN,
        "found": Decimal(2**70),
        "detected_at": later(second),
        "explanation": "It fetched 1180591620717411303424 items, where at most 7 were expected.",
        "expected_low": _FLOATLESS,
        "expected_high": Decimal(7),
        "evidence": {"median": _FLOATLESS, "runs": 20, "grüße": ["ä", None, {"x": Decimal("1.5")}]},
        **fields,
    }
    return Anomaly(metric=metric, **given)


def standing(subject: str = "bitcoin", *, metric: str = "value", second: float = 1, **fields: Any) -> Anomaly:
    """A finding of a record."""
    return anomaly(metric, second=second, scope=AnomalyScope.RECORD, subject=subject, **fields)


async def add(store: Store, *found: Anomaly) -> list[Anomaly]:
    """Commit findings; those that are to be told."""
    async with store.begin() as work:
        told = await work.findings.add_anomalies(found)
        await work.commit()
    return list(told)


async def listed(store: Store, **filters: Any) -> list[Anomaly]:
    """What is kept, newest first."""
    async with store.begin(write=False) as work:
        return list(await work.findings.anomalies(AnomalyQuery(**filters)))


async def close(store: Store, ids: Sequence[int], state: AnomalyState, second: float = 9, **words: str) -> int:
    """Commit a state."""
    async with store.begin() as work:
        count = await work.findings.close(ids, state, later(second), **words)
        await work.commit()
    return count


QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["e", "d", "c", "b", "a"]),
    ({"source": "s"}, ["e", "d", "b", "a"]),
    ({"source": "none"}, []),
    ({"run_id": 2}, ["c", "b"]),
    ({"source": "s", "run_id": 2}, ["b"]),
    ({"state": AnomalyState.OPEN}, ["e", "d", "c", "b"]),
    ({"state": AnomalyState.ACKNOWLEDGED}, ["a"]),
    ({"state": AnomalyState.OPEN, "source": "s"}, ["e", "d", "b"]),
    ({"scope": AnomalyScope.SOURCE}, ["e"]),
    ({"scope": AnomalyScope.RECORD, "metric": "d"}, ["d"]),
    ({"metric": "b"}, ["b"]),
    ({"limit": 2}, ["e", "d"]),
]


class AnomalyContract:
    """What stands out. Needs a fixture `store`: migrated and empty."""

    async def test_an_empty_store_has_none(self, store: Store) -> None:
        """Nothing is an answer everywhere, and nothing is told of nothing."""
        assert await add(store) == []
        async with store.begin(write=False) as work:
            assert await work.findings.anomaly(1) is None
            assert list(await work.findings.standing("s")) == []
            assert await work.findings.open_anomalies() == {}
        assert await close(store, [1, 2], AnomalyState.ACKNOWLEDGED) == 0

    async def test_findings_come_back_as_they_are(self, store: Store) -> None:
        """Told with ids from 1 on, and kept with every field exactly; the given id, state and times do not count."""
        bare = anomaly("bare", expected_low=None, expected_high=None, evidence={})
        given = replace(bare, anomaly_id=77, state=AnomalyState.RESOLVED, times=5, closed_at=later(3), closed_by="me")
        first, second = await add(store, anomaly(), given)
        assert first == anomaly(anomaly_id=1, last_seen_at=later(1))
        assert second == replace(bare, anomaly_id=2, last_seen_at=later(1))
        assert await listed(store) == [second, first]
        async with store.begin(write=False) as work:
            assert await work.findings.anomaly(1) == first
            assert await work.findings.anomaly(3) is None

    async def test_lists_what_matches_newest_first(self, store: Store) -> None:
        """Each filter alone and together, never more than `limit`."""
        other = anomaly("c", source="other", run_id=2)
        source = anomaly("e", scope=AnomalyScope.SOURCE, run_id=3)
        told = await add(store, anomaly("a"), anomaly("b", run_id=2), other, standing(metric="d"), source)
        await close(store, [told[0].anomaly_id], AnomalyState.ACKNOWLEDGED)
        for filters, metrics in QUERIES:
            assert [each.metric for each in await listed(store, **filters)] == metrics, filters

    async def test_lists_page_by_page(self, store: Store) -> None:
        """Below `before`, without a gap and without one twice."""
        ids = [each.anomaly_id for each in await add(store, *(anomaly(f"m{n}") for n in range(5)))]
        first = await listed(store, limit=2)
        second = await listed(store, limit=2, before=first[-1].anomaly_id)
        third = await listed(store, limit=2, before=second[-1].anomaly_id)
        assert [each.anomaly_id for each in (*first, *second, *third)] == ids[::-1]
        assert await listed(store, before=ids[0]) == []

    async def test_any_number_can_be_added_at_once(self, store: Store) -> None:
        """More than one statement holds; one that is given twice counts once, the latter."""
        found = [standing(f"k{n}") for n in range(1_201)]
        told = await add(store, *found, replace(found[0], found=Decimal(3)))
        assert [each.subject for each in told] == [f"k{n}" for n in range(1_201)]
        assert (told[0].found, told[0].times) == (Decimal(3), 1)
        assert len(await listed(store, limit=5_000)) == 1_201
        assert await add(store, *found) == []

    async def test_a_run_is_told_of_once(self, store: Store) -> None:
        """For each metric and subject; another run is told of again, and another subject of the same."""
        assert len(await add(store, anomaly())) == 1
        assert await add(store, anomaly(second=5)) == []
        assert [each.run_id for each in await add(store, anomaly(run_id=2))] == [2]
        assert [each.subject for each in await add(store, anomaly(subject="price"), anomaly())] == ["price"]
        assert [each.times for each in await listed(store)] == [1, 1, 1]

    async def test_what_stands_grows_and_is_not_told_again(self, store: Store) -> None:
        """It takes the figures that were seen last; the run and the instant of the first sighting stay."""
        (told,) = await add(store, standing())
        seen = standing(run_id=2, second=5, found=Decimal(8), explanation="Worse.", evidence={"n": 2})
        assert await add(store, replace(seen, expected_low=None)) == []
        (kept,) = await listed(store)
        assert kept == replace(
            told,
            found=Decimal(8),
            expected_low=None,
            explanation="Worse.",
            evidence={"n": 2},
            times=2,
            last_seen_at=later(5),
        )

    async def test_the_same_words_of_another_thing_are_another_finding(self, store: Store) -> None:
        """Of another source, metric or subject; and one of a run beside one that stands."""
        found = [standing(), standing(source="other"), standing("ether"), standing(metric="spread"), anomaly("value")]
        assert len(await add(store, *found)) == 5
        async with store.begin(write=False) as work:
            assert [each.anomaly_id for each in await work.findings.standing("s")] == [1, 3, 4]
            assert [each.anomaly_id for each in await work.findings.standing("other")] == [2]

    async def test_what_is_acknowledged_grows_in_silence(self, store: Store) -> None:
        """Somebody knows it already, for as long as it stands; who said so and why is kept."""
        (told,) = await add(store, standing())
        assert (
            await close(store, [told.anomaly_id], AnomalyState.ACKNOWLEDGED, by="me", note="an exchange is down") == 1
        )
        assert await add(store, standing(second=10)) == []
        (kept,) = await listed(store)
        assert (kept.state, kept.times, kept.closed_at) == (AnomalyState.ACKNOWLEDGED, 2, later(9))
        assert (kept.closed_by, kept.note) == ("me", "an exchange is down")

    async def test_what_was_resolved_and_comes_back_is_told_again(self, store: Store) -> None:
        """As another finding; the one that is over stays as it was."""
        (first,) = await add(store, standing())
        await close(store, [first.anomaly_id], AnomalyState.ACKNOWLEDGED, by="me", note="seen")
        assert await close(store, [first.anomaly_id], AnomalyState.RESOLVED, 11) == 1
        async with store.begin(write=False) as work:
            assert list(await work.findings.standing("s")) == []
        (second,) = await add(store, standing(second=20))
        assert second.anomaly_id > first.anomaly_id
        newest, oldest = await listed(store)
        assert newest == second
        assert (oldest.state, oldest.closed_at, oldest.closed_by) == (AnomalyState.RESOLVED, later(11), "me")
        assert (oldest.note, oldest.times) == ("seen", 1)

    async def test_only_some_states_follow_one_another(self, store: Store) -> None:
        """Of findings in each state those come to another one that may; the others stay as they are."""
        for state in AnomalyState:
            await self._follows(store, state)

    async def _follows(self, store: Store, state: AnomalyState) -> None:
        source = f"to {state}"
        told = await add(store, *(standing(str(each), source=source) for each in AnomalyState))
        for each in told:
            if each.subject != AnomalyState.OPEN:
                assert await close(store, [each.anomaly_id], AnomalyState(each.subject)) == 1
        before = {each.subject: each.state for each in await listed(store, source=source)}
        assert before == {str(each): each for each in AnomalyState}
        ids = [each.anomaly_id for each in told]
        assert await close(store, [*ids, 999], state) == len(state.after)
        after = {each.subject: each.state for each in await listed(store, source=source)}
        assert after == {name: state if was in state.after else was for name, was in before.items()}

    async def test_counts_what_is_open(self, store: Store) -> None:
        """By source, without those that have none."""
        told = await add(store, anomaly(), standing(), anomaly(source="other"), anomaly(source="quiet"))
        await close(store, [told[3].anomaly_id, told[0].anomaly_id], AnomalyState.ACKNOWLEDGED)
        async with store.begin(write=False) as work:
            assert dict(await work.findings.open_anomalies()) == {"s": 1, "other": 1}

    async def test_nothing_stays_of_what_was_rolled_back(self, store: Store) -> None:
        """Neither a finding nor that it was told: the next one who finds it tells it."""
        async with store.begin() as work:
            assert len(await work.findings.add_anomalies([standing(), anomaly()])) == 2
        assert await listed(store) == []
        assert len(await add(store, standing(), anomaly())) == 2

    async def test_of_several_who_find_the_same_at_once_one_tells_it(self, store: Store) -> None:
        """Ten units of work at the same time: each is told of exactly once."""
        told = await asyncio.gather(*(add(store, standing("a"), standing(f"own {n}"), anomaly()) for n in range(10)))
        subjects = sorted(each.subject for one in told for each in one)
        assert subjects == sorted(["", "a", *(f"own {n}" for n in range(10))])
        assert len(await listed(store)) == 12

    async def test_no_word_is_lost_while_a_finding_grows(self, store: Store) -> None:
        """Who acknowledges what a run that is not over has seen again waits, and is heard."""
        (told,) = await add(store, standing())
        async with store.begin() as work:
            assert list(await work.findings.add_anomalies([standing(second=2)])) == []
            word = asyncio.create_task(close(store, [told.anomaly_id], AnomalyState.ACKNOWLEDGED, by="me"))
            await asyncio.wait({word}, timeout=0.1)
            await work.commit()
        assert await word == 1
        (kept,) = await listed(store)
        assert (kept.state, kept.times, kept.closed_by) == (AnomalyState.ACKNOWLEDGED, 2, "me")

    async def test_prunes_what_needs_nobody(self, store: Store) -> None:
        """By when it was seen last: what is acknowledged, muted or resolved; what is open stays, whatever its age. What
        was acknowledged and is seen again after all is new."""
        told = await add(
            store,
            *(anomaly(name, second=n) for n, name in enumerate(("open", "acknowledged", "muted", "late"))),
            *(standing(name, second=2.5) for name in ("open", "acknowledged", "resolved")),
        )
        ids = {(str(each.scope), each.subject or each.metric): each.anomaly_id for each in told}
        acknowledged = [ids["run", "acknowledged"], ids["run", "late"], ids["record", "acknowledged"]]
        await close(store, acknowledged, AnomalyState.ACKNOWLEDGED)
        await close(store, [ids["run", "muted"]], AnomalyState.MUTED)
        await close(store, [ids["record", "resolved"]], AnomalyState.RESOLVED)
        bound = Bound(before=later(3))
        assert (await prunable(store, Prunable.CLOSED_ANOMALIES, bound)).rows == 4
        went = await prune(store, Prunable.CLOSED_ANOMALIES, bound)
        assert went.rows == 4
        assert went.bytes > 0
        left = [(each.scope, each.subject or each.metric) for each in await listed(store)]
        assert left == [("record", "open"), ("run", "late"), ("run", "open")]
        again = [standing(name, second=9) for name in ("open", "acknowledged")]
        assert [each.subject for each in await add(store, *again)] == ["acknowledged"]
        assert await prune(store, Prunable.CLOSED_ANOMALIES, Bound(before=datetime.min.replace(tzinfo=UTC))) == Pruned()
