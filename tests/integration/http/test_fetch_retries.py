"""What is tried again, how long is waited, and what a failure says."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.ports import RetryRules


def status(code, body="", **headers):
    return lambda _: web.Response(status=code, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def ok(_):
    return web.Response(text="there")


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 599])
async def test_what_may_pass_is_tried_again(site, fetcher, ask, clock, code):
    """429 and 5xx are retried with growing jittered waits; the facts count every request."""
    site.on("/x", [status(code), status(code), ok])
    answer = await fetcher.fetch(ask(f"{site.url}/x"))
    assert answer.body == b"there"
    assert clock.waits == [0.25, 0.5]
    assert (answer.facts.requests, answer.facts.retries) == (3, 2)
    assert answer.facts.throttled == (2 if code == 429 else 0)
    assert answer.facts.retry_reasons == {"429" if code == 429 else "5xx": 2}


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 423, 425, 451, 499])
async def test_no_other_4xx_is_ever_retried(site, fetcher, ask, clock, code):
    """The upstream's answer is final: one request, no wait, even where it sends Retry-After."""
    site.on("/x", status(code, Retry_After="1"))
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert caught.value.code == f"http_{code}"
    assert caught.value.source == "src"
    assert (len(site.seen), clock.waits) == (1, [])


async def test_retries_are_used_up(site, fetcher, ask, clock):
    """After the last attempt the error is transient, keeps its code, and says that it gave up."""
    site.on("/x", status(503, '{"error": "maintenance"}', Retry_After="7"))
    with pytest.raises(TransientSourceError, match=r"503: maintenance\. Gave up after 3 attempts") as caught:
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert (caught.value.code, caught.value.retry_after) == ("http_503", 7.0)
    assert (caught.value.fetch.requests, caught.value.fetch.retries, caught.value.fetch.throttled) == (3, 2, 0)
    assert caught.value.fetch.retry_reasons == {"5xx": 2}
    assert len(site.seen) == 3
    assert clock.waits == [7.0, 7.0]


async def test_each_retry_is_counted_under_its_reason(site, fetcher, ask):
    """Reasons are told apart and add up to the retries; what succeeds at once has none."""

    def hang_up(request):
        request.transport.abort()
        return web.Response()

    site.on("/x", [status(503), status(429), hang_up, status(500), status(502), ok])
    answer = await fetcher.fetch(ask(f"{site.url}/x", retry=RetryRules(attempts=6)))
    assert answer.facts.retry_reasons == {"5xx": 3, "429": 1, "connection": 1}
    assert answer.facts.retries == 5
    site.on("/y", ok)
    assert (await fetcher.fetch(ask(f"{site.url}/y"))).facts.retry_reasons == {}


async def test_a_retry_after_silence_is_counted_as_a_timeout(site, fetcher, ask):
    """An answer that does not come in time is tried again, under its own reason."""
    released = asyncio.Event()

    async def silent(_):
        await released.wait()
        return web.Response()

    site.on("/x", [silent, ok])
    answer = await fetcher.fetch(ask(f"{site.url}/x", timeout=0.2, retry=RetryRules(attempts=50)))
    released.set()
    assert (answer.body, set(answer.facts.retry_reasons)) == (b"there", {"timeout"})
    assert answer.facts.retry_reasons["timeout"] == answer.facts.retries


async def test_retry_after_in_seconds_is_honoured(site, fetcher, ask, clock):
    """No wait is shorter than the upstream asked for, even beyond wait_max."""
    site.on("/x", [status(429, Retry_After="119"), status(503, Retry_After="0"), ok])
    await fetcher.fetch(ask(f"{site.url}/x", retry=RetryRules(attempts=3, wait_max=1.0)))
    assert clock.waits[0] >= 119.0
    assert clock.waits[1] == 0.5


async def test_retry_after_as_a_date_is_honoured(site, fetcher, ask, clock):
    """A date is waited for: the next request goes out no earlier."""
    until = clock.at.replace(microsecond=0) + timedelta(seconds=42)
    site.on("/x", [status(429, Retry_After=format_datetime(until, usegmt=True)), ok])
    await fetcher.fetch(ask(f"{site.url}/x"))
    assert clock.at >= until
    assert len(clock.waits) == 1


async def test_a_wish_beyond_the_deadline_fails_at_once(site, fetcher, ask, clock):
    """An upstream that wants more time than there is left is not waited for, and the error says how long it asked."""
    site.on("/x", status(429, '{"status": {"error_message": "Rate Limit"}}', Retry_After="3600"))
    with pytest.raises(TransientSourceError, match=r"Rate Limit.*3600 s") as caught:
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert caught.value.retry_after == 3600.0
    assert (len(site.seen), clock.waits) == (1, [])


async def test_the_deadline_bounds_all_attempts(site, fetcher, ask, clock):
    """However many attempts are allowed, waits end with the retry deadline."""
    site.on("/x", status(500))
    with pytest.raises(TransientSourceError, match="deadline"):
        await fetcher.fetch(ask(f"{site.url}/x", retry=RetryRules(attempts=100, wait_max=10.0, deadline=30.0)))
    assert sum(clock.waits) == pytest.approx(30.0)


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(b"hello")[:15],
    ],
    ids=["length", "chunk missing", "chunk cut", "gzip cut"],
)
async def test_a_cut_body_is_tried_again_and_never_taken_for_whole(speaking, fetcher, ask, half):
    """A body without its end is a transient fault, whatever should have told the end."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole"
    answer = await fetcher.fetch(ask(await speaking(half, whole)))
    assert (answer.body, answer.facts.retries) == (b"whole", 1)
    assert answer.facts.retry_reasons == {"incomplete_body": 1}
    with pytest.raises(TransientSourceError) as caught:
        await fetcher.fetch(ask(await speaking(half)))
    assert caught.value.code == "incomplete_body"


async def test_a_lost_connection_is_tried_again(speaking, fetcher, ask):
    """A server that hangs up without an answer is a connection fault."""
    answer = await fetcher.fetch(ask(await speaking(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
    assert (answer.body, answer.facts.requests, answer.facts.retries) == (b"ok", 2, 1)
    assert answer.facts.retry_reasons == {"connection": 1}


async def test_nobody_listening_is_a_connection_fault(fetcher, ask, clock):
    """A refused connection is tried again, then said in one sentence."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/x"
        with pytest.raises(TransientSourceError, match="cannot connect") as caught:
            await fetcher.fetch(ask(url))
    assert caught.value.code == "connection"
    assert caught.value.fetch.retry_reasons == {"connection": 2}
    assert len(clock.waits) == 2


async def test_a_dead_kept_connection_counts_as_a_request(site, fetcher, ask):
    """A kept connection that turns out dead costs a retry like any fault, and no request goes uncounted."""

    def hang_up(request):
        request.transport.abort()
        return web.Response()

    site.on("/x", [ok, hang_up, ok])
    await fetcher.fetch(ask(f"{site.url}/x"))
    answer = await fetcher.fetch(ask(f"{site.url}/x"))
    assert answer.body == b"there"
    assert (answer.facts.requests, answer.facts.retries) == (len(site.seen) - 1, 1)
    assert len(site.seen) == 3


async def test_endless_headers_are_refused(speaking, fetcher, ask):
    """A header of a megabyte is beyond the bound, which is named, and not tried again."""
    url = await speaking(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * (1 << 20) + b"\r\n\r\n")
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(url))
    assert caught.value.code == "headers_too_large"


async def test_something_that_is_not_http(speaking, fetcher, ask):
    """A server that speaks another protocol is not acceptable HTTP."""
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(await speaking(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")))
    assert caught.value.code == "bad_answer"


async def test_a_failure_shows_the_answers_own_message_and_no_secret(site, fetcher, ask):
    """The upstream's text is shown in one line of at most 300 characters, and an echoed key is hidden in it."""
    site.on(
        "/x",
        lambda request: web.json_response({"error": f"bad key {request.headers['X-Key']} " + "x" * 1000}, status=401),
    )
    with pytest.raises(PermanentSourceError, match=r"401: bad key \*\*\*") as caught:
        await fetcher.fetch(
            ask(
                f"{site.url}/x?api_key=q-secret",
                secret_headers={"X-Key": "h-secret"},
                secret_params={"sig": "s-secret"},
            )
        )
    assert "auth" in caught.value.hint
    assert "secret" not in str(caught.value) + repr(caught.value)
    assert len(caught.value.message) < 450


async def test_a_plain_value_under_a_name_of_secrets_is_hidden_too(site, fetcher, ask):
    """An upstream repeats a token of `params`, of a header and of the address: none is in the error."""

    def repeats(request):
        return web.json_response({"error": f"bad {request.path_qs} {request.headers['X-Auth']}"}, status=400)

    site.on("/x", repeats)
    asked = ask(f"{site.url}/x?sig=s3cret-1", params={"token": "s3cret-2"}, headers={"X-Auth": "s3cret-3"})
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(asked)
    assert str(caught.value).count("***") >= 3
    assert "s3cret" not in str(caught.value)


async def test_secrets_are_not_in_the_request_s_own_text(ask):
    """The repr of a request hides what it sends."""
    assert "s3cret" not in repr(ask("http://a.example", secret_headers={"K": "s3cret"}, secret_params={"k": "s3cret"}))


async def test_recorded_error_bodies_are_shown(site, fetcher, ask, shared_data):
    """Every recorded CoinGecko error, in all three shapes, and the CDN's HTML show their sentence."""
    recorded = json.loads(shared_data("data", "coingecko", "errors", "observed_errors.json").read_text("utf-8"))
    for each in (each for each in recorded if isinstance(each["status"], int) and each["status"] != 200):
        site.on("/x", lambda _, each=each: web.json_response(each["body"], status=each["status"]))
        with pytest.raises((PermanentSourceError, TransientSourceError)) as caught:
            await fetcher.fetch(ask(f"{site.url}/x"))
        said = re.split(r" answered \d+: ", caught.value.message)[1].partition(" Gave up")[0].rstrip(".")[:20]
        assert said
        assert said in json.dumps(each["body"])
    site.on(
        "/x", lambda _: web.Response(status=403, text="<html><title>Access denied</title>", content_type="text/html")
    )
    with pytest.raises(PermanentSourceError, match="Access denied"):
        await fetcher.fetch(ask(f"{site.url}/x"))


async def test_an_error_body_is_read_in_part_only(site, fetcher, ask):
    """An error answer without an end still gives its message in time."""

    async def endless(request):
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        await response.write(b"<title>Too much</title>")
        while True:
            await response.write(bytes(8192))
            await asyncio.sleep(0)

    site.on("/x", endless)
    with pytest.raises(PermanentSourceError, match="400: Too much"):
        await fetcher.fetch(ask(f"{site.url}/x"))


async def test_a_bug_is_not_a_network_fault(site, fetcher, ask, monkeypatch):
    """An exception that is none of the network's passes through unchanged, without a retry."""
    from kasparro_adapters.http import exchange

    def broken(_):
        raise ZeroDivisionError

    site.on("/x", ok)
    monkeypatch.setattr(exchange, "inflater", broken)
    with pytest.raises(ZeroDivisionError):
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert len(site.seen) == 1


async def test_a_cancelled_fetch_ends(site, fetcher, ask):
    """Cancelling a fetch that waits for its answer cancels it, and the fetcher goes on working."""
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(_):
        started.set()
        await release.wait()
        return web.Response()

    site.on("/slow", slow)
    site.on("/x", ok)
    task = asyncio.create_task(fetcher.fetch(ask(f"{site.url}/slow")))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert (await fetcher.fetch(ask(f"{site.url}/x"))).body == b"there"
