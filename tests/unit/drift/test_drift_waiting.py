"""What begins small, what waits to be accepted, and what is told by many small runs: nothing slips through, and nothing
is told twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from watched import Watched, csv_payload, json_payload

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_core.errors import ConfigurationError, TransientStorageError
from kasparro_core.model import RecordQuery, RunStatus
from kasparro_core.model.drift import DriftRule
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.schemas import accept, change_views, versions_between
from kasparro_core.services.state import State

Rows = list[dict[str, Any]]
STRICT = (DriftRule.FREEZE, DriftRule.DISCARD_ROW, DriftRule.DISCARD_VALUE)


def rows(count: int, first: int = 0, **fields: Any) -> Rows:
    """Items with an id, a price and these fields."""
    return [{"id": f"k{first + n}", "price": 1, **fields} for n in range(count)]


async def after(rule: DriftRule, *runs: Rows) -> Watched:
    """A source that has seen these items, run by run."""
    watched = Watched("json", rule, key=["id"])
    for each in runs:
        await watched.run(json_payload(each))
    return watched


async def coloured(watched: Watched) -> set[str]:
    """The keys of the stored records that have the field `colour`."""
    async with watched.store.begin(write=False) as work:
        page = await work.records.page(RecordQuery(), limit=10**6)
    return {each.record.key for each in page if "colour" in each.record.attributes}


@pytest.mark.parametrize("rule", [DriftRule.EVOLVE, DriftRule.FREEZE, DriftRule.DISCARD_ROW])
async def test_a_field_that_begins_in_few_items_is_told_when_there_are_more(rule: DriftRule) -> None:
    """Two of a thousand are none; in all of them the field is as new as if those had not been there."""
    watched = await after(rule, rows(1000), rows(998) + rows(2, 998, colour="red"))
    assert await watched.changes() == []
    run = await watched.run(json_payload(rows(1000, colour="red")))
    assert await watched.changes() == [("added", "colour")]
    assert run.counters.updated == (998 if rule is DriftRule.EVOLVE else 0)


async def test_a_kind_that_begins_in_few_items_is_told_when_there_are_more() -> None:
    """Text in 3 % of the prices, then in all of them."""
    few = rows(970) + [{**row, "price": "1"} for row in rows(30, 970)]
    watched = await after(DriftRule.FREEZE, rows(1000), few)
    assert await watched.changes() == []
    run = await watched.run(json_payload([{**row, "price": "1"} for row in rows(1000)]))
    assert run.error_code == "drift"
    assert await watched.changes() == [("retyped", "price")]


async def test_a_field_that_is_rolled_out_is_told_once() -> None:
    """In 2, 4, 8, ... 100 % of the items: told when 5 % are reached, and then known."""
    steps = [rows(1000 - n) + rows(n, 1000 - n, colour="red") for n in (20, 40, 80, 160, 320, 640, 1000)]
    watched = await after(DriftRule.EVOLVE, rows(1000), *steps)
    assert [(each.path, each.run_id) for each in await watched.drift()] == [("colour", 4)]


async def test_what_was_rare_from_the_beginning_is_told_when_it_is_the_rule() -> None:
    """The first run has the field in two of a thousand items, and text in two prices."""
    odd = [{**row, "price": "1", "colour": "red"} for row in rows(2, 998)]
    watched = await after(DriftRule.EVOLVE, rows(998) + odd)
    for _ in range(3):
        await watched.run(json_payload([{**row, "price": "1", "colour": "red"} for row in rows(1000)]))
    assert sorted(await watched.changes()) == [("added", "colour"), ("retyped", "price")]


@pytest.mark.parametrize("rule", STRICT)
async def test_an_item_of_the_shape_that_waits_is_not_written(rule: DriftRule) -> None:
    """A run of two items proves nothing itself; the run before it has. Healthy items pass meanwhile, and accepted, the
    others do."""
    watched = await after(rule, rows(40), rows(40, 100, colour="red"))
    for first in (200, 300):
        run = await watched.run(json_payload(rows(2, first, colour="red")))
        assert (run.status is RunStatus.FAILED) == (rule is DriftRule.FREEZE)
    assert await coloured(watched) == set()
    healthy = await watched.run(json_payload(rows(2, 400)))
    assert (healthy.status, healthy.counters.inserted) == (RunStatus.SUCCEEDED, 2)
    await watched.accept()
    await watched.run(json_payload(rows(2, 500, colour="red")))
    assert await coloured(watched) == {"k500", "k501"}
    assert await watched.changes() == [("added", "colour")]


@pytest.mark.parametrize("gone", [{}, {"price": None}], ids=["removed", "null"])
async def test_an_item_without_what_was_always_there_waits_too(gone: dict[str, Any]) -> None:
    """The same for a field that went or became null; where it was missing now and then, one item is no sign of it."""
    watched = await after(DriftRule.FREEZE, rows(200), [{"id": f"k{n}", **gone} for n in range(200)])
    run = await watched.run(json_payload([{"id": "x", **gone}]))
    assert run.error_code == "drift"
    loose = await after(DriftRule.FREEZE, rows(160) + [{"id": f"l{n}", **gone} for n in range(40)])
    await loose.run(json_payload([{"id": f"k{n}", **gone} for n in range(200)]))
    assert len(await loose.versions()) == 2
    assert (await loose.run(json_payload([{"id": "x", **gone}]))).status is RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    "odd",
    [{"id": "x"}, {"id": "x", "price": None}, {"id": "x", "price": "1"}, {"id": "x", "price": 1, "colour": "red"}],
    ids=["absent", "null", "text", "extra"],
)
async def test_what_now_and_then_was_so_stops_nobody_once_a_change_is_taken_back(odd: dict[str, Any]) -> None:
    """One item of a hundred is odd, for one run all are, then one of a hundred again: a healthy source goes on."""

    def some(odd_ones: int) -> Rows:
        return rows(100 - odd_ones) + [{**odd, "id": f"odd{n}"} for n in range(odd_ones)]

    watched = await after(DriftRule.FREEZE, *[some(1)] * 3)
    assert (await watched.run(json_payload(some(100)))).error_code == "drift"
    assert (await watched.run(json_payload(some(1)))).status is RunStatus.UNCHANGED


async def test_a_value_of_another_kind_is_none_that_is_missing() -> None:
    """Text in 4 % of the prices of many runs: the price was always there, and is missed in a run without most of it."""
    text = rows(96) + [{**row, "price": "1"} for row in rows(4, 96)]
    watched = await after(DriftRule.FREEZE, rows(100), *[text] * 6)
    await watched.run(json_payload(rows(60) + [{"id": f"k{n}"} for n in range(60, 100)]))
    assert await watched.changes() == [("removed", "price")]


@pytest.mark.parametrize("rule", [DriftRule.EVOLVE, DriftRule.FREEZE])
async def test_small_runs_tell_a_change_once(rule: DriftRule) -> None:
    """Ten items a run: what was held of the runs before the change does not undo what was told or accepted."""
    old, new = ([{"id": f"k{n}", name: 1.5 * n} for n in range(10)] for name in ("price", "price_usd"))
    watched = await after(rule, *[old] * 10)
    for number in range(30):
        run = await watched.run(json_payload(new))
        assert number == 0 or run.error_code is None
        if (await watched.versions())[-1].accepted_at is None:
            await watched.accept()
    assert await watched.changes() == [("renamed", "price")]


@pytest.mark.parametrize(
    ("last", "change"),
    [
        ({}, ("removed", "price")),
        ({"price": "x"}, ("retyped", "price")),
        ({"price": 1, "colour": "red"}, ("added", "colour")),
    ],
    ids=["removed", "retyped", "added"],
)
async def test_a_source_of_one_item_a_run_is_told_of_early_changes(
    last: dict[str, Any], change: tuple[str, str]
) -> None:
    """With fifteen remembered items three others prove the change, instead of being taken for granted one by one."""
    watched = await after(DriftRule.EVOLVE, *[rows(1)] * 15, *[[{"id": "k0", **last}]] * 80)
    assert [(each.change, each.path, each.run_id) for each in await watched.drift()] == [(*change, 18)]


async def test_changes_by_turns_are_told_once_and_wait_together() -> None:
    """A second change does not push the first out of what waits; accepted, both are."""
    turns = [rows(40, **{name: 1}) for name in ("x", "y")] * 3
    watched = await after(DriftRule.DISCARD_ROW, rows(40), *turns)
    assert await watched.changes() == [("added", "x"), ("added", "y")]
    assert len(await watched.versions()) == 2
    await watched.accept()
    run = await watched.run(json_payload(rows(40, x=1, y=1)))
    assert (run.counters.updated, run.counters.rejected) == (40, 0)
    assert len(await watched.drift()) == 2


async def test_more_of_a_change_that_waits_is_not_told_again() -> None:
    """Text in a third of the prices, then in all: the same change, which the first run has told."""
    some = [{**row, "price": "x"} if n % 3 == 0 else row for n, row in enumerate(rows(60))]
    watched = await after(DriftRule.DISCARD_ROW, rows(40), some, [{**row, "price": "x"} for row in rows(60)])
    assert await watched.changes() == [("retyped", "price")]


async def test_a_column_for_each_day_is_no_change() -> None:
    """A wide file that gets a column a day, and one from which the oldest go; a column with a name is told."""
    watched = Watched("csv")
    for last in range(6):
        days = {f"1/{day}/24": "3" for day in range(1 + last // 2, 6 + last)}
        await watched.run(csv_payload([{"country": f"c{n}", **days} for n in range(30)]))
    assert await watched.changes() == []
    await watched.run(csv_payload([{"country": f"c{n}", "region": "x", **days} for n in range(30)]))
    assert await watched.changes() == [("added", "region")]


async def test_a_map_stays_one_when_a_key_came_late() -> None:
    """Addresses by platform, each in half of the items; one that comes in all of them is none that is always there."""

    def run(*half: str, **always: str) -> Rows:
        odd = [dict.fromkeys(half[n % 2 :: 2], "0xa") | always for n in range(60)]
        return [{"id": f"k{n}", "platforms": each} for n, each in enumerate(odd)]

    first = ("near", "solana", "tron", "stellar")
    watched = await after(DriftRule.EVOLVE, *[run(*first)] * 3, run(*first, base="0xb"))
    await watched.run(json_payload(run(*first, "osmosis", base="0xb")))
    assert await watched.changes() == []


class _Unheard:
    """A store whose first commit of a write goes through, and says that it did not."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._armed = True

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[UnitOfWork]:
        async with self._store.begin(write=write) as work:
            yield work
        if write and self._armed:
            self._armed = False
            raise TransientStorageError("the connection was lost")


async def test_accepting_says_so_though_the_answer_of_the_commit_was_lost() -> None:
    """The second attempt finds what the first one wrote, and returns it; accepting again has nothing to do."""
    watched = await after(DriftRule.FREEZE, rows(40), rows(40, colour="red"))
    store: Any = _Unheard(watched.store)
    state = State(store, MemoryHandle(MemoryOwners()), watched.clock, watched.runner.claims)
    accepted = await accept(state, watched.clock, "watched")
    assert accepted is not None
    assert [each.accepted_at for each in await watched.versions()][-1] == accepted.accepted_at
    assert await accept(state, watched.clock, "watched") is None


async def test_differences_of_versions_that_are_not_there_are_refused() -> None:
    """An unknown version, and an older one after a newer; what waits is shown as it was told."""
    watched = await after(DriftRule.FREEZE, rows(40), rows(40, colour="red"))
    async with watched.store.begin(write=False) as work:
        for first, last in ((5, 2), (0, 3), (2, 1), (5, None)):
            with pytest.raises(ConfigurationError, match="newest version is 2"):
                await versions_between(work, "watched", first, last)
        (view,) = change_views(await versions_between(work, "watched", None, None))
        assert await versions_between(work, "nobody", None, None) == []
    assert view == {
        "version": 2,
        "accepted_at": None,
        "change": "added",
        "path": "colour",
        "before": None,
        "after": "text",
        "confidence": None,
    }
