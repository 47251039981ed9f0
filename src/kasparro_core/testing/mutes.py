"""The contract of FindingStore, of what is not to be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kasparro_core.model.anomaly import Anomaly, AnomalyQuery, AnomalyState, Mute
from kasparro_core.ports import Store
from kasparro_core.testing.anomalies import add, anomaly, close, listed, standing
from kasparro_core.testing.build import later


def mute(source: str = "s", *, second: float = 0, **fields: Any) -> Mute:
    """A mute of a whole source, until it is removed."""
    return Mute(source, later(second), **fields)


async def put(store: Store, given: Mute) -> Mute:
    """Commit a mute."""
    async with store.begin() as work:
        kept = await work.findings.add_mute(given)
        await work.commit()
    return kept


async def take_away(store: Store, mute_id: int) -> bool:
    """Commit the removal of a mute."""
    async with store.begin() as work:
        known = await work.findings.remove_mute(mute_id)
        await work.commit()
    return known


async def all_mutes(store: Store, *source: str) -> list[Mute]:
    """What is kept."""
    async with store.begin(write=False) as work:
        return list(await work.findings.mutes(*source))


async def states(store: Store) -> dict[str, str]:
    """The state of each finding, by its subject or metric."""
    return {each.subject or each.metric: str(each.state) for each in await listed(store)}


COVERS = [
    (mute(), True),
    (mute(metric="value"), True),
    (mute(subject="bitcoin"), True),
    (mute(metric="value", subject="bitcoin", until=later(1.000001)), True),
    (mute("other"), False),
    (mute(metric="spread"), False),
    (mute(subject="bit"), False),
    (mute(metric="value", subject="ether"), False),
    (mute(until=later(1)), False),
]


class MuteContract:
    """Mutes. Needs a fixture `store`: migrated and empty."""

    async def test_mutes_come_back_as_they_are(self, store: Store) -> None:
        """Each under an id of its own, by source, metric and subject; of one source, or all."""
        full = Mute("t", later(1), "value", "é", later(9), "an exchange is down", "me")
        given = [full, mute("s", metric="b"), mute("s", metric="a", subject="z"), mute("s")]
        kept = [await put(store, each) for each in given]
        assert sorted(each.mute_id for each in kept) == [1, 2, 3, 4]
        assert [replace(each, mute_id=0) for each in kept] == given
        assert await all_mutes(store) == [kept[3], kept[2], kept[1], kept[0]]
        assert await all_mutes(store, "t") == [kept[0]]
        assert await all_mutes(store, "none") == []

    async def test_the_same_mute_again_takes_the_place_of_the_first(self, store: Store) -> None:
        """With its id, and another end and reason."""
        first = await put(store, mute(metric="value", reason="one"))
        again = await put(store, mute(metric="value", second=5, until=later(9), reason="two", created_by="me"))
        assert again.mute_id == first.mute_id
        assert await all_mutes(store) == [again]

    async def test_what_is_covered_is_kept_and_not_told(self, store: Store) -> None:
        """By source, metric, subject and end; with the mute's reason as its note."""
        for given, covered in COVERS:
            async with store.begin() as work:  # and rolled back
                await work.findings.add_mute(replace(given, reason="known"))
                told = list(await work.findings.add_anomalies([standing()]))
                (kept,) = await work.findings.anomalies(AnomalyQuery())
            assert kept.state == (AnomalyState.MUTED if covered else AnomalyState.OPEN), given
            assert told == ([] if covered else [kept])
            assert (kept.note, kept.closed_at) == (("known", later(1)) if covered else (None, None))

    async def test_a_new_mute_mutes_what_is_open(self, store: Store) -> None:
        """What it covers and nobody has acknowledged; a mute that is over when it is made does nothing."""
        told = await add(store, standing("a"), standing("b"), standing("c", metric="spread"), anomaly("value"))
        await close(store, [told[1].anomaly_id], AnomalyState.ACKNOWLEDGED)
        await put(store, mute(second=5, until=later(5)))
        assert set((await states(store)).values()) == {"open", "acknowledged"}
        await put(store, mute(metric="value", second=6, reason="known", created_by="me"))
        assert await states(store) == {"a": "muted", "b": "acknowledged", "c": "open", "value": "muted"}
        first = (await listed(store))[-1]
        assert (first.closed_at, first.closed_by, first.note) == (later(6), "me", "known")

    async def test_what_was_muted_and_is_no_more_is_told_when_it_is_seen_again(self, store: Store) -> None:
        """When the mute is removed, not before: then it is open again."""
        kept = await put(store, mute(reason="known"))
        assert await add(store, standing()) == []
        assert await add(store, standing(second=2)) == []
        assert await take_away(store, kept.mute_id)
        assert not await take_away(store, kept.mute_id)
        assert await states(store) == {"bitcoin": "muted"}
        (told,) = await add(store, standing(second=3))
        assert told == (await listed(store))[0]
        assert (told.state, told.times, told.closed_at, told.note) == (AnomalyState.OPEN, 3, None, None)
        assert await add(store, standing(second=4)) == []

    async def test_a_mute_ends_by_itself(self, store: Store) -> None:
        """At its instant; it stays in the list."""
        await put(store, mute(until=later(5)))
        assert await add(store, standing(second=4)) == []
        assert [each.state for each in await add(store, standing(second=5))] == [AnomalyState.OPEN]
        assert len(await all_mutes(store)) == 1

    async def test_a_finding_of_a_run_stays_muted(self, store: Store) -> None:
        """It is judged once."""
        kept = await put(store, mute())
        assert await add(store, anomaly()) == []
        await take_away(store, kept.mute_id)
        assert await add(store, anomaly(second=9)) == []
        assert await states(store) == {"fetched": "muted"}

    async def test_what_is_open_is_muted_when_it_is_seen_again(self, store: Store) -> None:
        """However it came to be open under a mute; what is resolved and comes back under one is not told."""
        (told,) = await add(store, standing())
        await put(store, mute("s", metric="value", second=2))
        await close(store, [told.anomaly_id], AnomalyState.OPEN, 3)
        assert await states(store) == {"bitcoin": "open"}
        assert await add(store, standing(second=4)) == []
        assert await states(store) == {"bitcoin": "muted"}
        await close(store, [told.anomaly_id], AnomalyState.RESOLVED, 5)
        assert await add(store, standing(second=6)) == []
        assert [each.state for each in await _both(store)] == [AnomalyState.MUTED, AnomalyState.RESOLVED]


async def _both(store: Store) -> list[Anomaly]:
    found = await listed(store)
    assert len(found) == 2
    return found
