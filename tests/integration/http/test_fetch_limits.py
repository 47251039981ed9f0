"""Circuit, budgets and the table of answers, against real servers."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from kasparro_adapters.http import AiohttpFetcher
from kasparro_adapters.memory import MemoryStore
from kasparro_core.errors import PermanentSourceError, PermanentStorageError, TransientSourceError
from kasparro_core.policy import Quota, told
from kasparro_core.ports import Effort, RateRules, RetryRules
from kasparro_core.services.budgets import StoredBudgets


def says(status, body="", **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if text.startswith("<") else "application/json"
    return lambda _: web.Response(
        status=status, text=text, content_type=kind, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def ok(_):
    return web.Response(text="there")


@pytest.fixture
def nowhere():
    """An address where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}/x"


async def refused(fetcher, request):
    with pytest.raises((TransientSourceError, PermanentSourceError)) as caught:
        await fetcher.fetch(request)
    return caught.value


GECKO_429 = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
GECKO_401 = {"error": {"status": {"timestamp": "t", "error_code": 10012, "error_message": "Exceeds 365 days. "}}}
CDN_429 = "<!DOCTYPE html><html><head><title>Too many requests | api.test</title></head></html>"


@pytest.mark.parametrize(
    ("answer", "code", "requests", "words"),
    [
        (says(429, GECKO_429, Retry_After="1"), "http_429", 3, "answered 429: You've exceeded the Rate Limit. Gave up"),
        (says(429, CDN_429), "http_429", 3, "answered 429: Too many requests | api.test. Gave up after 3 attempts"),
        (says(429, {"error": "you have reached maximum request limit"}), "http_429", 3, "maximum request limit. Gave"),
        (says(401, GECKO_401), "http_401", 1, "365 days. That means: the plan of the key does not reach that far back"),
        (
            says(401, {"status": {"error_code": 10002, "error_message": "API Key Missing"}}),
            "http_401",
            1,
            "API Key Mis",
        ),
        (says(400, {"status": {"error_code": 10011, "error_message": "Wrong root"}}), "http_400", 1, "other address"),
        (says(422, {"error": "Missing parameter vs_currency"}), "http_422", 1, "422: Missing parameter vs_currency."),
        (says(500, {"status": 500, "error": "Internal Server Error"}), "http_500", 2, "broke down over this request"),
        (says(500, {"error": "Invalid parameter days"}), "http_500", 1, "names what is wrong with the request"),
        (says(402, {"error": "this endpoint needs a paid plan"}), "http_402", 1, "needs a paid plan."),
        (says(403, {"error": "forbidden"}), "http_403", 1, "answered 403: forbidden."),
        (says(404, {"error": "id not found"}), "http_404", 1, "answered 404: id not found."),
        (says(403, "<html><title>Just a moment...</title>"), "http_403", 1, "its CDN wants to see a browser"),
        (says(502, "<html><title>Bad gateway</title>"), "http_502", 3, "answered 502: Bad gateway. Gave up after 3"),
    ],
)
async def test_every_shape_of_refusal_has_its_code_and_sentence(site, fetcher, ask, answer, code, requests, words):
    """CoinGecko's and CoinPaprika's errors in all their shapes: the right code, one line to read, and not one request
    more than can help."""
    site.on("/x", answer)
    error = await refused(fetcher, ask(f"{site.url}/x"))
    assert error.code == code
    assert words in error.message
    assert "\n" not in str(error)
    assert len(site.seen) == requests


async def test_a_403_without_budget_is_waited_for(site, fetcher, ask, clock):
    """GitHub's way: a 403 with nothing left of the limit is tried again when the limit is reset, and counts as
    throttled."""
    reset = str(int((clock.at + timedelta(seconds=40)).timestamp()))
    site.on("/x", [says(403, "{}", X_RateLimit_Remaining="0", X_RateLimit_Reset=reset), ok])
    answer = await fetcher.fetch(ask(f"{site.url}/x"))
    assert (answer.body, answer.facts.throttled, answer.facts.retry_reasons) == (b"there", 1, {"403": 1})
    assert sum(clock.waits) >= 39.9


async def test_what_is_left_of_a_limit_is_respected_before_a_refusal(site, fetcher, ask, clock):
    """After an answer that says that nothing is left, the next request waits for the reset instead of being refused."""
    site.on("/x", [says(200, "{}", RateLimit='"default";r=0;t=25'), ok])
    for _ in range(2):
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert clock.waits == pytest.approx([25.0], abs=0.01)


async def test_sources_of_one_host_wait_together(site, fetcher, ask, clock):
    """Told to wait by one source's 429, no other source of that host asks before; one of another host does."""
    site.on("/x", [says(429, Retry_After="30"), ok])
    await refused(fetcher, ask(f"{site.url}/x", retry=RetryRules(attempts=1)))
    other = site.url.replace("127.0.0.1", "localhost")
    await fetcher.fetch(replace(ask(f"{other}/x"), source="elsewhere"))
    assert clock.waits == []
    await fetcher.fetch(replace(ask(f"{site.url}/x"), source="second"))
    assert clock.waits == pytest.approx([30.0], abs=0.01)


async def test_a_wish_longer_than_the_deadline_is_told_to_the_others(site, fetcher, ask, clock):
    """Where the upstream wants to be left alone for an hour, other sources are told so at once, with the instant, and
    ask again when it is over."""
    site.on("/x", [says(429, Retry_After="3600"), ok])
    await refused(fetcher, ask(f"{site.url}/x"))
    error = await refused(fetcher, ask(f"{site.url}/x"))
    assert error.code == "rate_closed"
    assert "in 3600 s" in error.message
    assert "2026-11-21 09:00:00 UTC" in error.message
    assert error.retry_after == pytest.approx(3600, abs=1)
    assert len(site.seen) == 1
    await clock.sleep(3600)
    assert (await fetcher.fetch(ask(f"{site.url}/x"))).body == b"there"


async def test_a_later_process_keeps_the_wish_of_an_earlier_one(site, ask, clock):
    """What one process was told is in the database: the next one does not ask before it is time."""
    store = MemoryStore(lambda: clock.at)
    site.on("/x", [says(429, Retry_After="3600"), ok])
    codes = []
    for _ in range(2):
        async with AiohttpFetcher(clock, budgets=StoredBudgets(store, clock)) as opened:
            codes.append((await refused(opened, ask(f"{site.url}/x"))).code)
    assert codes == ["http_429", "rate_closed"]
    assert len(site.seen) == 1
    await store.close()


async def test_nothing_is_sent_under_a_limit_without_the_database(site, ask, clock):
    """While the database is away no slot can be had: the request fails with the database's error and nobody is asked.
    Without a limit it is asked as ever, once it is known that nothing was learned of it."""
    site.on("/x", ok)
    store = MemoryStore(lambda: clock.at)
    async with AiohttpFetcher(clock, budgets=StoredBudgets(store, clock)) as opened:
        await opened.fetch(ask(f"{site.url}/x"))
        await store.close()
        with pytest.raises(PermanentStorageError, match="closed"):
            await opened.fetch(ask(f"{site.url}/x", rate=RateRules(5, "second")))
        await opened.fetch(ask(f"{site.url}/x"))
    assert len(site.seen) == 2


async def test_a_host_that_is_away_is_left_alone(nowhere, fetcher, ask, clock):
    """After ten failures in a row no source waits for that host any more; each is told why, in a sentence, at once."""
    for _ in range(2):
        assert (await refused(fetcher, ask(nowhere, retry=RetryRules(attempts=5)))).code == "connection"
    before = len(clock.waits)
    error = await refused(fetcher, replace(ask(nowhere), source="third"))
    assert error.code == "circuit_open"
    assert error.message.startswith("third: 127.0.0.1:")
    assert "10 times in a row and is left alone for another 30 s" in error.message
    assert "cannot connect" in error.message
    assert (error.fetch.requests, len(clock.waits)) == (0, before)


async def test_one_probe_finds_out_that_a_host_is_back(site, fetcher, ask, clock):
    """After the pause one request asks, the others are still refused; answered, all may ask again."""
    site.on("/x", says(503))
    rules = RetryRules(attempts=1, circuit_failures=2)
    for _ in range(2):
        assert (await refused(fetcher, ask(f"{site.url}/x", retry=rules))).code == "http_503"
    assert (await refused(fetcher, ask(f"{site.url}/x", retry=rules))).code == "circuit_open"
    await clock.sleep(30.0)
    reached, release = asyncio.Event(), asyncio.Event()

    async def slow(_):
        reached.set()
        await release.wait()
        return web.Response(text="there")

    site.on("/x", slow)
    probe = asyncio.create_task(fetcher.fetch(ask(f"{site.url}/x", retry=rules)))
    await reached.wait()
    error = await refused(fetcher, ask(f"{site.url}/x", retry=rules))
    assert (error.code, "until one request has found out" in error.message) == ("circuit_open", True)
    release.set()
    assert (await probe).body == b"there"
    assert (await fetcher.fetch(ask(f"{site.url}/x", retry=rules))).body == b"there"


@pytest.mark.parametrize("limit", [None, RateRules(1_000, "second")])
async def test_a_lesson_of_a_day_is_told_at_once(site, fetcher, ask, clock, limit):
    """An upstream that always says "one left, for years" gives two pages; then the run is told, without a wait and
    without taking anybody's slot, and a day later it is asked again."""
    site.on("/x", says(200, "{}", X_RateLimit_Remaining="1", X_RateLimit_Reset="999999999"))
    request = ask(f"{site.url}/x", rate=limit)
    for _ in range(2):
        await fetcher.fetch(request)
    for _ in range(50):
        error = await refused(fetcher, request)
        assert (error.code, "little is left of its limit" in error.message) == ("rate_closed", True)
    assert (len(site.seen), sum(clock.waits) < 1) == (2, True)
    await clock.sleep(86_401)
    await fetcher.fetch(request)
    assert len(site.seen) == 3


async def test_who_waits_hears_that_more_is_left(site, fetcher, ask, clock):
    """Told that one is left for 250 seconds, a request waits for the reset; when another is answered meanwhile that
    plenty is left, it goes half a minute later at most."""
    few = {"X_RateLimit_Remaining": "1", "X_RateLimit_Reset": "250"}
    site.on("/x", [says(200, "{}", **few), says(200, "{}", **few), ok])
    for _ in range(2):
        await fetcher.fetch(ask(f"{site.url}/x"))
    lane = next(iter(fetcher._limiter._lanes.values()))
    sleep = clock.sleep

    async def meanwhile(seconds):
        await sleep(seconds)
        await lane.learn(lambda budget, now: (told(budget, Quota(99, 60, 100), now), None))

    clock.sleep = meanwhile
    await fetcher.fetch(ask(f"{site.url}/x"))
    assert 0 < sum(clock.waits) <= 30.0


async def test_refused_runs_take_no_slots(site, fetcher, ask, clock):
    """A hundred requests a day, one 429 for a day, and a run a minute meanwhile: when the day is over it is asked."""
    site.on("/x", [says(429, Retry_After="86400"), ok])
    request = ask(f"{site.url}/x", rate=RateRules(100, "day"))
    for minute in range(1, 1_400):
        await refused(fetcher, request)
        clock.seconds = 60.0 * minute
    clock.seconds = 86_401.0
    before = len(clock.waits)
    await fetcher.fetch(request)
    assert (len(site.seen), sum(clock.waits[before:]) < 1_000) == (2, True)


async def test_refused_processes_take_no_slots(site, ask, clock):
    """Each in a process of its own: runs that are refused leave the schedule in the database as it was."""
    store = MemoryStore(lambda: clock.at)
    site.on("/x", [says(429, Retry_After="86400"), ok])
    request, following = ask(f"{site.url}/x", rate=RateRules(100, "day")), set()
    for _ in range(5):
        async with AiohttpFetcher(clock, budgets=StoredBudgets(store, clock)) as opened:
            await refused(opened, request)
        following.add((await StoredBudgets(store, clock).look(site.url.removeprefix("http://")))[0].next_at)
    assert (len(site.seen), len(following)) == (1, 1)
    await store.close()


async def test_a_slot_that_is_not_used_is_taken_by_the_next(site, fetcher, ask, clock):
    """A request that is cancelled while it waits for its slot leaves it to the one behind it."""
    site.on("/x", ok)
    request = ask(f"{site.url}/x", rate=RateRules(1, "minute"))
    await fetcher.fetch(request)
    sleep = clock.sleep

    async def cancelled(_):
        clock.sleep = sleep
        raise asyncio.CancelledError

    clock.sleep = cancelled
    with pytest.raises(asyncio.CancelledError):
        await fetcher.fetch(request)
    await fetcher.fetch(request)
    assert sum(clock.waits) == pytest.approx(60 / 0.95, abs=0.1)


async def test_a_slot_of_a_request_that_may_not_go_is_taken_by_the_next(site, fetcher, ask, clock):
    """While it waits for its slot its host fails for others, and is left alone: who asks all the same takes it."""
    site.on("/x", [ok, says(503)])
    once = RetryRules(attempts=1, circuit_failures=1, circuit_pause=1_000)
    rate = RateRules(1, "minute")
    await fetcher.fetch(ask(f"{site.url}/x", rate=rate))
    sleep = clock.sleep

    async def meanwhile(seconds):
        clock.sleep = sleep
        await refused(fetcher, ask(f"{site.url}/x", retry=once, rate=RateRules(1_000, "second", key="another")))
        await sleep(seconds)

    clock.sleep = meanwhile
    assert (await refused(fetcher, ask(f"{site.url}/x", retry=once, rate=rate))).code == "circuit_open"
    site.on("/x", ok)
    await fetcher.fetch(ask(f"{site.url}/x", retry=RetryRules(circuit_failures=0), rate=rate))
    assert sum(clock.waits) == pytest.approx(60 / 0.95, abs=0.1)


async def test_an_endless_wish_is_kept_for_a_day(site, ask, clock):
    """After `Retry-After: 999999999999999` the next runs are told `rate_closed`, and the database can keep what was
    learned."""
    store = MemoryStore(lambda: clock.at)
    site.on("/x", [ok, ok, ok, ok, says(429, Retry_After="999999999999999")])
    async with AiohttpFetcher(clock, budgets=StoredBudgets(store, clock)) as opened:
        for _ in range(4):
            await opened.fetch(ask(f"{site.url}/x"))
        codes = [(await refused(opened, ask(f"{site.url}/x"))).code for _ in range(2)]
        budget, now = await StoredBudgets(store, clock).look(site.url.removeprefix("http://"))
    assert codes == ["http_429", "rate_closed"]
    assert (budget.closed_until - now, budget.lowered_to) == (pytest.approx(86_400, abs=1), pytest.approx(1 / 3_600))
    await store.close()


async def test_a_reset_in_unix_time_is_read_by_the_clock_of_the_upstream(site, fetcher, ask, clock):
    """Where its clock is ten minutes ahead of ours, a reset in 20 of its seconds is one in 20 of ours."""
    theirs = clock.at.replace(microsecond=0) + timedelta(minutes=10)
    left = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(theirs.timestamp()) + 20)}
    site.on("/x", [lambda _: web.Response(headers={**left, "Date": format_datetime(theirs, usegmt=True)}), ok])
    for _ in range(2):
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert sum(clock.waits) == pytest.approx(20, abs=1)


async def test_a_moment_of_trouble_fails_nobody(site, fetcher, ask, clock):
    """Eight requests meet the same moment in which their host is away: that is one failure, and all are answered with
    their second attempt, without the pause of the circuit."""
    everybody = asyncio.Barrier(8)

    async def away(_):
        await everybody.wait()
        clock.seconds += 0.1
        return web.Response(status=503)

    site.on("/x", [away] * 8 + [ok])
    rules = RetryRules(attempts=3, circuit_failures=3)
    answers = await asyncio.gather(*(fetcher.fetch(ask(f"{site.url}/x", retry=rules)) for _ in range(8)))
    assert [answer.body for answer in answers] == [b"there"] * 8
    assert clock.waits == [0.25] * 8


async def test_who_has_begun_waits_for_the_circuit(site, fetcher, ask, clock):
    """A request whose host is left alone after its first attempt comes again when the pause is over; one that has not
    begun fails at once."""
    site.on("/x", [says(503), says(503), says(503), ok])
    once = RetryRules(attempts=1, circuit_failures=3)
    for _ in range(2):
        await refused(fetcher, ask(f"{site.url}/x", retry=once))
    answer = await fetcher.fetch(ask(f"{site.url}/x", retry=replace(once, attempts=3)))
    assert answer.body == b"there"
    assert clock.waits == pytest.approx([0.25, 29.75])
    assert answer.facts.requests == 2


async def test_one_bad_path_does_not_close_a_host(site, fetcher, ask):
    """A 500 that the application gives to a request that it does not understand says that the host is alive."""
    site.on("/bad", says(500, {"status": 500, "error": "Internal Server Error"}))
    site.on("/x", ok)
    rules = RetryRules(attempts=1, circuit_failures=2)
    for _ in range(3):
        assert (await refused(fetcher, ask(f"{site.url}/bad", retry=rules))).code == "http_500"
    assert (await fetcher.fetch(ask(f"{site.url}/x", retry=rules))).body == b"there"


async def test_a_redirect_cannot_open_the_circuit_of_another_host(serving, fetcher, ask):
    """A host that sends us to an address of another one where that fails does not keep others from it."""
    healthy, hostile = await serving(), await serving()
    healthy.on("/boom", says(502))
    healthy.on("/x", ok)
    hostile.on("/feed", lambda _: web.Response(status=302, headers={"Location": f"{healthy.url}/boom"}))
    rules = RetryRules(attempts=1, circuit_failures=2)
    for _ in range(3):
        assert (await refused(fetcher, ask(f"{hostile.url}/feed", retry=rules))).code == "http_502"
    assert (await fetcher.fetch(ask(f"{healthy.url}/x", retry=rules))).body == b"there"


async def test_who_has_no_circuit_asks_a_host_that_others_leave_alone(site, fetcher, ask):
    """With `circuit_failures = 0` a host is asked although it is left alone by others, who still leave it alone."""
    site.on("/x", says(503))
    rules, none = RetryRules(attempts=1, circuit_failures=2), RetryRules(attempts=1, circuit_failures=0)
    codes = [(await refused(fetcher, ask(f"{site.url}/x", retry=each))).code for each in (rules, rules, none, rules)]
    assert codes == ["http_503", "http_503", "http_503", "circuit_open"]


async def test_the_circuit_belongs_to_the_host(site, nowhere, fetcher, ask):
    """Two hosts that share a limit do not share a circuit; sources of one host do, whatever their limits are called."""
    site.on("/x", ok)
    rules = RetryRules(attempts=1, circuit_failures=2)
    one, two = RateRules(1_000, "second", key="one"), RateRules(1_000, "second", key="two")
    for _ in range(2):
        await refused(fetcher, ask(nowhere, retry=rules, rate=one))
    assert (await refused(fetcher, ask(nowhere, retry=rules, rate=two))).code == "circuit_open"
    assert (await fetcher.fetch(ask(f"{site.url}/x", retry=rules, rate=one))).body == b"there"


@pytest.mark.parametrize("answer", [says(404), says(429), says(403, {"error": "no"}), says(200)])
async def test_answers_of_any_kind_keep_the_circuit_closed(site, nowhere, fetcher, ask, answer):
    """A host that refuses is alive: only silence and faults of its own open the circuit."""
    site.on("/x", answer)
    rules = RetryRules(attempts=1, circuit_failures=1)
    for _ in range(5):
        try:
            await fetcher.fetch(ask(f"{site.url}/x", retry=rules))
        except (TransientSourceError, PermanentSourceError) as error:
            assert error.code in {"http_404", "http_429", "http_403"}


async def test_the_circuit_can_be_switched_off(nowhere, fetcher, ask):
    """With `circuit_failures = 0` every request finds out for itself."""
    for _ in range(12):
        error = await refused(fetcher, ask(nowhere, retry=RetryRules(attempts=1, circuit_failures=0)))
        assert error.code == "connection"


async def test_a_run_spends_no_more_than_its_retries(site, fetcher, ask):
    """Requests of one run share what it may try again: afterwards the first failure of a request is its last."""
    effort, rules = Effort(), RetryRules(attempts=5, run_retries=6)
    site.on("/x", says(502))
    seen = []
    for _ in range(3):
        error = await refused(fetcher, ask(f"{site.url}/x", retry=rules, effort=effort))
        seen.append(error.fetch.requests)
    assert seen == [5, 3, 1]
    assert effort.retries == 6
    assert "the 6 retries of its run (`retry.run_retries`) are used up" in error.message


async def test_a_cancelled_wait_gives_its_place_back(site, fetcher, ask):
    """Whoever is cancelled while waiting for a place or a slot keeps neither from the others."""
    release, reached = asyncio.Event(), asyncio.Event()

    async def slow(_):
        reached.set()
        await release.wait()
        return web.Response(text="there")

    site.on("/slow", slow)
    site.on("/x", ok)
    rate = RateRules(concurrent=1)
    first = asyncio.create_task(fetcher.fetch(ask(f"{site.url}/slow", rate=rate)))
    await reached.wait()
    second = asyncio.create_task(fetcher.fetch(ask(f"{site.url}/x", rate=rate)))
    await asyncio.sleep(0)
    second.cancel()
    release.set()
    assert (await first).body == b"there"
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (await fetcher.fetch(ask(f"{site.url}/x", rate=rate))).body == b"there"
