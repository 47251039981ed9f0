"""Items that fell out of a feed before anybody saw them: noticed, counted and told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from publishers import Follower, Place, rss

from kasparro_core.errors import TransientStorageError
from kasparro_core.model import Event, EventType, Metric, RunStatus
from kasparro_core.ports import UnitOfWork

FEED = "https://a.example/feed"


async def follow(*documents: bytes, full: int | None = None) -> Follower:
    """A run for each document; the one with this number is a full one."""
    follower = Follower()
    for number, document in enumerate(documents):
        follower.web.places[FEED] = Place(document)
        await follower.run(follower.job(url=FEED), full=number == full)
    return follower


@pytest.mark.parametrize("full", [None, 1])
async def test_a_gap_is_told_counted_and_shown(full: int | None) -> None:
    """All items are new: one event with how many and since when, one warning, one more in the total, the partition's
    row; a full run sees it too."""
    follower = await follow(rss(3, 2, 1), rss(9, 8, 7), rss(10, 9, 8), full=full)
    (gap,) = await follower.events("feed.gap")
    state = (await follower.states())[""]
    runs = await follower.world.runs()
    assert gap.data["items"] == 3
    assert runs[0].started_at.isoformat() < gap.data["since"] < runs[1].started_at.isoformat()
    assert (gap.run_id, state.gaps, state.gap_at) == (runs[1].run_id, 1, gap.at)
    assert [event[1:3] for event in follower.told.events if event[0] == "noted"] == [(runs[1].run_id, "feed.gap")]
    async with follower.world.store.begin(write=False) as work:
        totals = {(total.metric, total.label): total.value for total in await work.totals.list("news")}
    assert totals[Metric.GAPS, ""] == 1
    assert {run.status for run in runs} == {RunStatus.SUCCEEDED}


async def test_no_gap_where_there_is_none() -> None:
    """First read, one item left, an edit, the same again, an empty feed: nothing is told; behind the empty one the feed
    is compared with what it had before."""
    edited = rss(4, 3).replace(b"<title>3</title>", b"<title>three</title>")
    documents = [rss(), rss(2, 1), rss(3, 2), edited, edited, rss(), rss(5, 4)]
    assert await (await follow(*documents)).events("feed.gap") == []
    (gap,) = await (await follow(*documents, rss(), rss(99))).events("feed.gap")
    assert gap.data["items"] == 1


async def test_gaps_add_up() -> None:
    """Each gap counts, and the row keeps the newest."""
    follower = await follow(rss(1), rss(2), rss(2), rss(3))
    events = await follower.events("feed.gap")
    state = (await follower.states())[""]
    assert (len(events), state.gaps, state.gap_at) == (2, 2, events[-1].at)


async def test_feeds_of_a_list_are_compared_each_with_itself() -> None:
    """What another feed of the source has brought does not hide a gap."""
    follower = Follower()
    one, two = FEED, "https://b.example/feed"
    for first, second in ((rss(1), rss(2)), (rss(2), rss(2))):
        follower.web.places = {one: Place(first), two: Place(second)}
        await follower.run(follower.job(urls=[one, two]))
    assert [event.data["partition"] for event in await follower.events("feed.gap")] == [one]


@pytest.mark.parametrize("heard", [False, True])
async def test_a_gap_is_told_once_whatever_becomes_of_its_commit(
    *, heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database fails at the commit that holds the gap, before it or behind it: the unit of work is done again or
    recognized, and there is one event, one more in the row and one more in the total."""
    follower = await follow(rss(1))
    follower.web.places[FEED] = Place(rss(2))
    begin, left = follower.world.store.begin, [1]

    @asynccontextmanager
    async def faltering(*, write: bool = True) -> AsyncIterator[UnitOfWork]:
        async with begin(write=write) as work:
            yield cast("UnitOfWork", Faltering(work, left, heard=heard))

    monkeypatch.setattr(follower.world.store, "begin", faltering)
    await follower.run(follower.job(url=FEED))
    state = (await follower.states())[""]
    async with follower.world.store.begin(write=False) as work:
        totals = [total.value for total in await work.totals.list("news") if total.metric is Metric.GAPS]
    assert (len(await follower.events("feed.gap")), state.gaps, totals, left) == (1, 1, [1], [0])


class Faltering:
    """A unit of work whose commit fails once after a gap was written: before it is done, or when it is."""

    def __init__(self, work: UnitOfWork, left: list[int], *, heard: bool) -> None:
        self._work, self._left, self._heard, self._gap = work, left, heard, False

    def __getattr__(self, name: str) -> Any:
        return self if name == "events" else getattr(self._work, name)

    async def append(self, event: Event) -> None:
        self._gap |= event.type is EventType.FEED_GAP
        await self._work.events.append(event)

    async def after(self, event_id: int, *, limit: int) -> Sequence[Event]:
        return await self._work.events.after(event_id, limit=limit)

    async def commit(self) -> None:
        falters = self._gap and self._left[0] > 0
        if not falters or self._heard:
            await self._work.commit()
        if falters:
            self._left[0] -= 1
            raise TransientStorageError("The connection was lost.")
