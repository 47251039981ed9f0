"""What the four rules do with a change: take it, stop, leave the items out, or leave the values out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from mutations import MUTATIONS, mutated
from shapely import market_rows
from watched import DECODERS, Watched, json_payload

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import Metric, RecordQuery, RunStatus, StoredRecord
from kasparro_core.model.drift import DriftRule
from kasparro_core.services.replay import Replayer

KEYED: dict[str, Any] = {"key": ["id"]}
Rows = list[dict[str, Any]]


def rows(count: int, first: int = 0, **fields: Any) -> Rows:
    """Items with an id, a price and these fields."""
    return [{"id": f"k{first + n}", "price": 1, **fields} for n in range(count)]


async def stored(watched: Watched) -> dict[str, StoredRecord]:
    """The records by key."""
    async with watched.store.begin(write=False) as work:
        return {each.record.key: each for each in await work.records.page(RecordQuery(), limit=10**6)}


async def started(rule: DriftRule, **options: Any) -> Watched:
    """A source whose shape is remembered, by 40 items."""
    watched = Watched("json", rule, **KEYED, **options)
    await watched.run(json_payload(rows(40)))
    return watched


async def test_evolve_takes_the_change_and_tells_it() -> None:
    """All items are written; a version that is accepted, one row, one sum, one event and one warning tell of it."""
    watched = await started(DriftRule.EVOLVE)
    run = await watched.run(json_payload(rows(40, colour="red")))
    assert (run.status, run.counters.updated) == (RunStatus.SUCCEEDED, 40)
    (event,) = await watched.drift()
    assert (event.change, event.path, event.before, event.after) == ("added", "colour", None, "text")
    assert (event.run_id, event.action, event.partition) == (run.run_id, "evolve", "")
    first, second = await watched.versions()
    assert first.accepted_at is not None
    assert (second.version, second.run_id, second.accepted_at) == (2, run.run_id, event.detected_at)
    async with watched.store.begin(write=False) as work:
        sums = {(each.metric, each.label): each.value for each in await work.totals.list("watched")}
        told = [each for each in await work.events.after(0) if each.type == "drift"]
    assert sums[Metric.DRIFT, "added"] == 1
    assert [each.data["path"] for each in told] == ["colour"]
    assert [each[3]["path"] for each in watched.told.events if each[0] == "noted"] == ["colour"]


@pytest.mark.parametrize("mutation", [each for each in MUTATIONS if each.source == "coingecko"], ids=str)
async def test_freeze_writes_nothing_of_a_new_shape(mutation: Any) -> None:
    """Whatever the change: the run fails with a sentence that names field and way out, its items are not there, and
    what waits is told once however often it is tried; accepted, it goes in."""
    watched = Watched("json", DriftRule.FREEZE, **({} if mutation.path == "id" else KEYED))
    before = market_rows(110)
    await watched.run(json_payload(before))
    records = await stored(watched)
    changed = json_payload([{**row, "image": "other"} for row in mutated(before, mutation)])
    for _ in range(2):
        run = await watched.run(changed)
        assert (run.status, run.error_code, run.counters.fetched) == (RunStatus.FAILED, "drift", 0)
        assert f"`{mutation.path}`" in str(run.error)
        assert "kasparro schema accept watched" in str(run.error)
        assert await stored(watched) == records
    assert await watched.changes() == [mutation.event]
    assert [version.accepted_at is None for version in await watched.versions()] == [False, True]
    await watched.accept()
    run = await watched.run(changed)
    assert (run.status, run.counters.fetched) == (RunStatus.SUCCEEDED, 110)
    assert await watched.changes() == [mutation.event]


async def test_freeze_stops_in_the_batch_that_shows_the_change() -> None:
    """Batches of the known shape before it are kept, also when the new one is a small part of the whole run."""
    watched = await started(DriftRule.FREEZE, batch_rows=50)
    items = [*rows(1000, 100), *rows(50, 2000, colour="red"), *rows(50, 3000)]
    run = await watched.run(json_payload(items))
    assert (run.error_code, run.counters.fetched) == ("drift", 1000)
    assert len(await stored(watched)) == 1040


async def test_freeze_lets_healthy_runs_pass() -> None:
    """Nothing waits, nothing is told."""
    watched = Watched("json", DriftRule.FREEZE, batch_rows=30, **KEYED)
    for tick in range(4):
        run = await watched.run(json_payload(market_rows(90, tick=tick)))
        assert run.status is RunStatus.SUCCEEDED
    assert await watched.changes() == []


async def test_discard_row_rejects_the_items_that_show_a_change() -> None:
    """They are rejections of stage `drift` with their key; the others are written; counts add up. Accepted, the keys
    load and the rejections are resolved, also by a replay of what was stored."""
    watched = await started(DriftRule.DISCARD_ROW, batch_rows=60)
    items = [*rows(60, 100), *rows(20, 200, colour="red"), *rows(40, 300)]
    run = await watched.run(json_payload(items))
    assert (run.counters.fetched, run.counters.inserted, run.counters.rejected) == (120, 100, 20)
    refused = await watched.rejections()
    assert {each.stage for each in refused} == {"drift"}
    assert {(each.code, each.path) for each in refused} == {("drift_added", "colour")}
    assert {each.key for each in refused} == {f"k{n}" for n in range(200, 220)}
    assert '"colour":"red"' in refused[0].payload
    assert await watched.changes() == [("added", "colour")]
    await watched.accept()
    replayer = Replayer(watched.store, MemoryHandle(MemoryOwners()), watched.clock, DECODERS, watched.told)
    await replayer.replay(watched.job)
    assert len(await stored(watched)) == 160
    assert {each.state for each in await watched.rejections()} == {"resolved"}
    assert await watched.changes() == [("added", "colour")]


async def test_discard_row_rejects_what_lacks_a_field() -> None:
    """A field that went: the items without it are refused."""
    watched = await started(DriftRule.DISCARD_ROW)
    await watched.run(json_payload([*rows(40), *({"id": f"x{n}"} for n in range(20))]))
    assert len(await stored(watched)) == 40
    assert {(each.code, each.path) for each in await watched.rejections()} == {("drift_removed", "price")}


async def test_discard_value_leaves_unknown_and_retyped_values_out() -> None:
    """The items are written without them, one note a change says so, and the stored payload has all of it."""
    watched = await started(DriftRule.DISCARD_VALUE)
    items = [{**row, "price": "1,5"} if n % 2 else {**row, "colour": "red"} for n, row in enumerate(rows(40))]
    run = await watched.run(json_payload(items))
    assert (run.counters.rejected, run.counters.fetched) == (0, 40)
    records = await stored(watched)
    assert all("colour" not in each.record.attributes for each in records.values())
    assert {each.record.attributes.get("price") for each in records.values()} == {1, None}
    notes = await watched.rejections()
    assert sorted((each.stage, each.code, each.path) for each in notes) == [
        ("field", "drift_added", "colour"),
        ("field", "drift_retyped", "price"),
    ]
    assert sorted(await watched.changes()) == [("added", "colour"), ("retyped", "price")]
    await watched.run(json_payload(items))
    assert [each.times for each in await watched.rejections()] == [2, 2]
    assert len(await watched.drift()) == 2


async def test_discard_value_reaches_into_objects_and_lists() -> None:
    """An unknown value inside of others is left out there, and what stands beside it stays."""
    watched = Watched("json", DriftRule.DISCARD_VALUE, **KEYED)
    before = [{"id": str(n), "tags": [{"n": "a"}], "quotes": {"USD": {"p": 1}}} for n in range(40)]
    after = [
        {"id": str(n), "tags": [{"n": "a", "w": 1}], "quotes": {"USD": {"p": 1, "v": 2}, "EUR": {"p": 1, "v": 2}}}
        for n in range(40)
    ]
    await watched.run(json_payload(before))
    await watched.run(json_payload(after))
    kept = (await stored(watched))["0"].record.attributes
    assert kept["tags"] == [{"n": "a"}]
    assert kept["quotes"]["USD"] == {"p": 1}
    assert sorted(await watched.changes()) == [("added", "quotes.USD.v"), ("added", "tags[].w")]


async def test_another_rule_takes_what_waits() -> None:
    """Changed from freeze to evolve, the shape that waits becomes the accepted one without being told again."""
    watched = await started(DriftRule.FREEZE)
    changed = json_payload(rows(40, colour="red"))
    await watched.run(changed)
    watched.ruled(DriftRule.EVOLVE)
    run = await watched.run(changed)
    assert run.status is RunStatus.SUCCEEDED
    assert await watched.changes() == [("added", "colour")]
    assert [version.accepted_at is None for version in await watched.versions()] == [False, False]


async def test_a_run_that_was_broken_off_leaves_the_change_to_the_next() -> None:
    """Killed before its end, a run has told nothing; the one that resumes it tells it, once."""
    watched = await started(DriftRule.EVOLVE)
    changed = json_payload(rows(40, colour="red"))
    watched.source.payloads = (changed,)
    finish = watched.runner._finish
    watched.runner._finish = _never  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await watched.runner.run(watched.job)
    watched.runner._finish = finish  # type: ignore[method-assign]
    assert await watched.changes() == []
    await watched.run(changed)
    await watched.run(changed)
    assert await watched.changes() == [("added", "colour")]


async def _never(*_: object, **__: object) -> Any:
    raise asyncio.CancelledError


async def test_a_stored_shape_that_is_none_is_refused_with_a_way_out() -> None:
    """Edited by hand, it stops the run before anything is read, with a sentence that says which row."""
    watched = await started(DriftRule.EVOLVE)
    (version,) = await watched.versions()
    async with watched.store.begin() as work:
        await work.schemas.save(replace(version, schema={"format": 1, "shape": "?"}))
        await work.commit()
    with pytest.raises(PermanentStorageError, match=r"Version 1 of the schema of source 'watched'.*schema_versions"):
        await watched.run(json_payload(rows(40)))
