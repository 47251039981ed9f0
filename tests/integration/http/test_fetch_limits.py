"""Circuit, budgets and the table of answers, against real servers."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web

from kasparro_adapters.http import AiohttpFetcher
from kasparro_adapters.memory import MemoryStore
from kasparro_core.errors import PermanentSourceError, PermanentStorageError, TransientSourceError
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
