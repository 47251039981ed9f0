"""A paged list whose last page is full, so that an empty one is asked for behind it, and answered 304 ever after."""

from __future__ import annotations

from typing import Any

import pytest
from shelf import Bench

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import EventType
from kasparro_core.policy.baseline import FEWEST

SIZE = 25
PAGES = 4


def things(count: int, version: int) -> list[dict[str, Any]]:
    return [{"id": f"{number:03}", "t": f"version {version}"} for number in range(count)]


@pytest.fixture
def bench() -> Bench:
    return Bench(MemoryStore(), size=SIZE)


async def read(bench: Bench, count: int, version: int) -> list[str]:
    """An hour later, one run that finds so many things, all of them new or changed; the figures it was told of."""
    before = len(bench.told.events)
    bench.clock.skip(3600.0)
    bench.shelf.things = things(count, version)
    await bench.run()
    return [each[3]["metric"] for each in bench.told.events[before:] if each[2:3] == (str(EventType.ANOMALY),)]


async def comparable(bench: Bench, run_id: int) -> bool:
    async with bench.store.begin(write=False) as work:
        facts = await work.runs.facts(run_id)
    assert facts is not None
    return facts.comparable


async def test_an_empty_page_that_is_as_it_was_hides_nothing(bench: Bench) -> None:
    """Runs whose last page is empty and answered 304 are whole: others are judged by them, and a drop to a third is
    told."""
    assert [await read(bench, SIZE * PAGES, version) for version in range(FEWEST + 1)] == [[]] * (FEWEST + 1)
    assert bench.shelf.statuses == [200] * PAGES + [304]
    assert [await comparable(bench, run_id) for run_id in range(1, FEWEST + 2)] == [True] * (FEWEST + 1)
    assert await read(bench, SIZE * PAGES // 3, FEWEST + 1) == ["fetched"]


async def test_a_page_with_items_that_is_as_it_was_hides_them(bench: Bench) -> None:
    """A run of which one page of items was answered 304 has not counted these: it is not whole."""
    await read(bench, SIZE * PAGES, 0)
    bench.shelf.things = [*things(SIZE, 0), *things(SIZE * PAGES, 1)[SIZE:]]
    await bench.run()
    assert bench.shelf.statuses == [304, *[200] * (PAGES - 1), 304]
    assert [await comparable(bench, run_id) for run_id in (1, 2)] == [True, False]
