"""Several sources in several processes before one limited upstream, on a virtual clock."""

from __future__ import annotations

import asyncio
import os

import pytest
from limited import ADDRESS, SlidingWindow, TokenBucket, World
from yarl import URL

from kasparro_core.ports import FetchRequest, RateRules
from kasparro_core.services.budgets import LocalBudgets

FIVE = RateRules(5, "second")
SEEDS = range(int(os.environ.get("KASPARRO_LIMIT_SEEDS", "4")))


async def two_processes(world: World, rate: RateRules | None, requests: int = 40) -> None:
    """Three sources with the same key: two in one process, one in the other."""
    first, second = world.limiter(), world.limiter()
    await asyncio.gather(*(world.source(limiter, requests, rate) for limiter in (first, first, second)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sliding_window_is_used_and_never_exceeded(seed):
    """Before an upstream that counts as strictly as one can, three sources in two processes are not refused once, and
    use at least 90 % of what is allowed."""
    world = World(seed, SlidingWindow(5))
    world.tell(two_processes(world, FIVE))
    assert world.refused == []
    assert len(world.answered) == 120
    assert world.rate() >= 0.9 * 5


@pytest.mark.parametrize("size", [2, 5])
def test_a_token_bucket_is_used_and_never_exceeded(size):
    """The same before a bucket, however small, that refills five times a second."""
    world = World(1, TokenBucket(5.0, size))
    world.tell(two_processes(world, FIVE))
    assert world.refused == []
    assert world.rate() >= 0.9 * 5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_burst_that_the_upstream_allows_is_used(seed):
    """With the burst of the upstream's own bucket the first five go at once, and none is ever refused."""
    world = World(seed, TokenBucket(5.0, 5))
    world.tell(two_processes(world, RateRules(5, "second", burst=5)))
    assert world.answered[3] < 0.3
    assert world.refused == []
    assert world.rate() >= 0.9 * 5


def test_one_process_without_a_database_keeps_it_too():
    """Sources of one process share a budget that is kept in its memory."""
    world = World(3, SlidingWindow(5))
    limiter = world.limiter(LocalBudgets(world.clock))

    async def story():
        await asyncio.gather(*(world.source(limiter, 30, FIVE) for _ in range(3)))

    world.tell(story())
    assert world.refused == []
    assert world.rate() >= 0.9 * 5


def test_a_limit_by_the_minute_is_kept_over_minutes():
    """Thirty a minute, for five minutes: no window of a minute sees more, and 90 % are used."""
    world = World(4, SlidingWindow(30, 60.0, retry_after=60.0))
    world.tell(two_processes(world, RateRules(30, "minute"), requests=50))
    assert world.refused == []
    assert world.rate() >= 0.9 * 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_limit_that_is_set_too_high_is_found(seed):
    """Where the upstream allows half of what is configured, refusals become rare: the rate goes down to what is
    answered, and most of that is used."""
    world = World(seed, SlidingWindow(5, retry_after=2.0))
    world.tell(two_processes(world, RateRules(10, "second"), requests=150))
    assert len(world.refused) <= 6
    assert world.rate() >= 0.75 * 5


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_refusal_nobody_asks_before_it_is_time(seed):
    """A Retry-After holds for all sources with the key, in both processes: between hearing of it and its end only
    those are sent that were on their way."""
    world = World(seed, SlidingWindow(5, retry_after=7.0))
    world.tell(two_processes(world, RateRules(10, "second"), requests=30))
    assert world.refused
    arrived = sorted([*world.answered, *world.refused])
    for refusal in world.refused:
        late = [at for at in arrived if refusal + 0.3 < at < refusal + 7.0]
        assert late == [], (refusal, late)


def test_an_unlimited_upstream_is_asked_at_full_speed_until_it_refuses():
    """Without a limit nothing is kept in the database and nothing waits; the first refusal teaches all of them."""
    world = World(5, SlidingWindow(20, 10.0, retry_after=10.0))
    world.tell(two_processes(world, None, requests=60))
    assert world.answered[18] < 2.0
    assert len(world.refused) <= 8
    assert world.rate() >= 0.5 * 2


def test_an_upstream_that_never_refuses_costs_nothing():
    """Nothing of an unlimited source is written to the database, and its lessons are looked up once in a process."""
    world = World(6, SlidingWindow(10_000))
    asked = []

    class Watched(LocalBudgets):
        async def look(self, key):
            asked.append("look")
            return await super().look(key)

        async def change(self, key, step):
            asked.append("change")
            return await super().change(key, step)

    async def story():
        limiter = world.limiter(Watched(world.clock))
        await asyncio.gather(*(world.source(limiter, 30, None) for _ in range(3)))

    world.tell(story())
    assert set(asked) == {"look"}
    assert len(asked) <= 3


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_under_way_than_there_are_places(most):
    """`concurrent` holds for all sources of the key, in two processes together, with or without a rate; and every place
    is used."""
    for rate in (RateRules(concurrent=most), RateRules(1_000, "second", concurrent=most)):
        world = World(7, SlidingWindow(10_000))
        limiters = [world.limiter(), world.limiter()]

        async def story(world=world, limiters=limiters, rate=rate):
            await asyncio.gather(*(world.source(limiter, 10, rate) for limiter in limiters * 3))

        world.tell(story())
        assert world.most_under_way == most
        assert len(world.answered) == 60


def test_a_place_of_a_dead_process_is_free_after_a_while():
    """A process that dies with its request under way keeps the others waiting for the time limit of that request and
    half a minute, not for ever."""
    world = World(9, SlidingWindow(10_000))
    rate, dead, alive = RateRules(concurrent=1), world.limiter(), world.limiter()

    async def story():
        turn = dead.turn(FetchRequest("src", ADDRESS, rate=rate, timeout=20.0), URL(ADDRESS))
        await turn.__aenter__()  # and nothing more is heard of it
        await world.source(alive, 2, rate)
        return turn

    world.tell(story())
    assert 50.0 <= world.answered[0] < 51.0


def test_a_place_is_given_back_by_whoever_is_cancelled():
    """A request that is broken off, while it waits for a place or under way, leaves none taken."""
    world = World(10, SlidingWindow(10_000))
    rate, limiters = RateRules(concurrent=1), [world.limiter(), world.limiter()]

    async def story():
        tasks = [asyncio.create_task(world.source(limiter, 50, rate)) for limiter in limiters * 2]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with world.store.begin(write=False) as work:
            return (await work.rates.get("limited.test"))[0].places

    assert world.tell(story()) == ()


def test_other_keys_are_not_held_up():
    """A source with a key of its own does not wait for those of another key, of the same host."""
    world = World(8, SlidingWindow(10_000))
    limiter = world.limiter()

    async def story():
        slow = world.source(limiter, 20, RateRules(1, "second", key="slow"))
        quick = world.source(limiter, 20, RateRules(100, "second", key="quick"))
        task = asyncio.create_task(slow)
        await quick
        ended = world.loop.time()
        await task
        return ended

    assert world.tell(story()) < 3.0
    assert world.loop.time() > 15.0
