"""Items that were refused for a shape which nobody has accepted, and what tries refused items again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from watched import DECODERS, Watched, json_payload

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_core.model import RecordQuery, RejectionQuery, Stage
from kasparro_core.model.drift import DriftRule
from kasparro_core.services.held import Held
from kasparro_core.services.rejections import Retried, drop, retry, select
from kasparro_core.services.replay import Replayer
from kasparro_core.services.replay_scope import EVERYTHING, REFUSED


def rows(count: int, first: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"k{first + place}", "price": 1, **more} for place in range(count)]


async def waiting() -> Watched:
    """40 records, and 40 items that were refused twice because they have a colour, beside one without a key."""
    watched = Watched("json", DriftRule.DISCARD_ROW, key=["id"])
    await watched.run(json_payload(rows(40, 0)))
    coloured = rows(40, 100, colour="red")
    await watched.run(json_payload([*coloured, {"price": 2}]))
    await watched.run(json_payload([*coloured, {"price": 2}]))
    return watched


def replayer(watched: Watched) -> Replayer:
    return Replayer(watched.store, MemoryHandle(MemoryOwners()), watched.clock, DECODERS, watched.told)


async def keys(watched: Watched) -> int:
    async with watched.store.begin(write=False) as work:
        return len(await work.records.page(RecordQuery(), limit=1000))


async def tried_again(watched: Watched) -> Retried:
    (selection,) = (await select(watched.store, RejectionQuery(source="watched"))).values()
    return await retry(watched.store, replayer(watched), watched.job, selection)


async def test_a_retry_leaves_what_waits_for_its_shape() -> None:
    """Nothing of the unaccepted shape is written, its rejections stay open and are told apart; once it is accepted a
    retry brings all of it in."""
    watched = await waiting()
    done = await tried_again(watched)
    assert (done.chosen, done.held, done.resolved, done.still_open) == (41, 40, 0, 41)
    assert await keys(watched) == 40
    await watched.accept()
    done = await tried_again(watched)
    assert (done.chosen, done.held, done.resolved, done.still_open) == (41, 0, 40, 1)
    assert await keys(watched) == 80


@pytest.mark.parametrize(("scope", "count"), [(REFUSED, 40), (EVERYTHING, 80)], ids=["rejections", "everything"])
async def test_a_replay_of_rejections_leaves_it_too(scope: Any, count: int) -> None:
    """Items of the unaccepted shape stay refused, as often as they were seen; a replay of everything takes all."""
    watched = await waiting()
    before = await watched.rejections()
    assert len(before) == 41
    await replayer(watched).replay(watched.job, scope=scope)
    assert await keys(watched) == count
    assert (await watched.rejections() == before) == (scope is REFUSED)


async def test_what_was_refused_stays_out_of_the_versions_too() -> None:
    """The upstream takes the change back and the same records load: a replay of rejections makes no version of the
    items that were refused before."""
    watched = await waiting()
    watched.job = replace(watched.job, history=True)
    await watched.run(json_payload([{**row, "price": 5} for row in rows(40, 100)]))
    run = await replayer(watched).replay(watched.job, scope=REFUSED)
    assert run.counters.updated == 0
    async with watched.store.begin(write=False) as work:
        records = await work.records.page(RecordQuery(), limit=1000)
        assert [each for each in records if await work.records.versions(each.record_id)] == []


async def test_what_was_dropped_is_not_told_as_open() -> None:
    """Dropped, items of the unaccepted shape are left out as before, and none of them waits for anybody."""
    watched = await waiting()
    assert (await Held.load(watched.store, "watched")).count == 40
    await drop(watched.store, watched.clock, RejectionQuery(source="watched", stage=Stage.DRIFT))
    assert (await Held.load(watched.store, "watched")).count == 0
    await replayer(watched).replay(watched.job, scope=REFUSED)
    assert await keys(watched) == 40


async def test_notes_about_a_shape_that_waits_are_not_tried_again() -> None:
    """With `discard_value` a retry leaves the notes open until the shape is accepted."""
    watched = Watched("json", DriftRule.DISCARD_VALUE, key=["id"])
    await watched.run(json_payload(rows(40, 0)))
    await watched.run(json_payload(rows(40, 0, colour="red")))
    done = await tried_again(watched)
    assert (done.run, done.chosen, done.held, done.still_open) == (None, 1, 1, 1)
    await watched.accept()
    assert (await tried_again(watched)).resolved == 1


async def test_what_a_frozen_source_was_asked_is_counted() -> None:
    """With `freeze` nothing of the page is written, and the run says what the request for it cost."""
    watched = Watched("json", DriftRule.FREEZE, key=["id"])
    await watched.run(json_payload(rows(40, 0)))
    run = await watched.run(json_payload(rows(40, 0, colour="red")))
    assert (run.error_code, run.counters.fetched, run.counters.requests) == ("drift", 0, 1)
