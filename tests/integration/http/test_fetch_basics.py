"""The fetcher against real servers: requests, facts, bodies, conditional requests."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from datetime import timedelta

import pytest
from aiohttp import web

from kasparro_adapters.http import AiohttpFetcher
from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.model import Validator
from kasparro_core.ports import RateRules, RetryRules


async def test_an_answer_with_its_facts(site, fetcher, ask, clock):
    """Status, lower-case headers, exact body, and facts: bytes on the wire, one request, observed after the answer."""
    site.on("/x", lambda _: web.Response(body=b'{"a":1}', headers={"ETag": 'W/"1"', "X-More": "yes"}))
    before = clock.at
    answer = await fetcher.fetch(ask(f"{site.url}/x", params={"q": "ä b"}))
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert (answer.headers["etag"], answer.headers["x-more"]) == ('W/"1"', "yes")
    assert (answer.facts.requests, answer.facts.retries, answer.facts.throttled) == (1, 0, 0)
    assert (answer.facts.bytes_fetched, answer.facts.status) == (7, 200)
    assert answer.facts.observed_at > before
    assert answer.facts.observed_at.utcoffset() == timedelta(0)
    assert answer.url == answer.facts.url == f"{site.url}/x?q=%C3%A4+b"
    assert answer.moved_to is None
    assert site.seen[0].query["q"] == "ä b"


async def test_who_is_asking(site, fetcher, ask, monkeypatch):
    """Requests carry our User-Agent, the configured headers and no cookie; the environment's proxy is left alone."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    site.on("/x", lambda _: web.Response(text="ok", headers={"Set-Cookie": "sid=1; Path=/"}))
    for _ in range(2):
        await fetcher.fetch(ask(f"{site.url}/x", headers={"X-Own": "1"}))
    for request in site.seen:
        assert request.headers["User-Agent"].startswith("kasparro/")
        assert request.headers["X-Own"] == "1"
        assert "Cookie" not in request.headers


async def test_a_conditional_request(site, fetcher, ask):
    """Validators are sent as they came; a 304 has no body and is an answer."""
    site.on("/x", lambda _: web.Response(status=304))
    known = Validator("h", etag='W/"abc"', last_modified="Sat, 21 Nov 2026 08:00:00 GMT")
    answer = await fetcher.fetch(ask(f"{site.url}/x", validator=known))
    assert answer.not_modified
    assert (answer.body, answer.facts.bytes_fetched) == (b"", 0)
    assert site.seen[0].headers["If-None-Match"] == 'W/"abc"'
    assert site.seen[0].headers["If-Modified-Since"] == "Sat, 21 Nov 2026 08:00:00 GMT"


async def test_a_304_that_was_not_asked_for_is_an_error(site, fetcher, ask):
    """Without validators there is nothing that a 304 could stand for."""
    site.on("/x", lambda _: web.Response(status=304))
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert caught.value.code == "http_304"


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_bodies_are_unpacked(site, fetcher, ask, coding, pack):
    """The body is decompressed, the bytes on the wire are counted as they travelled."""
    packed = pack(b"hello " * 1000)
    site.on("/x", lambda _: web.Response(body=packed, headers={"Content-Encoding": coding}))
    answer = await fetcher.fetch(ask(f"{site.url}/x"))
    assert answer.body == b"hello " * 1000
    assert answer.facts.bytes_fetched == len(packed)


@pytest.mark.parametrize("headers", [{"Content-Encoding": "br"}, {"Content-Encoding": "gzip"}])
async def test_an_encoding_that_is_wrong_is_an_error(site, fetcher, ask, headers):
    """What was not offered, or is not what its header says, is a permanent error."""
    site.on("/x", lambda _: web.Response(body=b"plain text", headers=headers))
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert caught.value.code == "content_encoding"
    assert len(site.seen) == 1


async def test_a_bomb_is_stopped_at_the_cap(site, fetcher, ask):
    """A body that unpacks to 64 MiB is refused once it passes max_bytes, without being unpacked."""
    bomb = gzip.compress(bytes(64 << 20), 9)
    site.on("/x", lambda _: web.Response(body=bomb, headers={"Content-Encoding": "gzip"}))
    sink = io.BytesIO()
    with pytest.raises(PermanentSourceError, match="max_bytes") as caught:
        await fetcher.fetch(ask(f"{site.url}/x", max_bytes=1 << 20), sink=sink)
    assert caught.value.code == "too_large"
    assert len(sink.getvalue()) <= 1 << 20
    assert len(site.seen) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_plain_body_over_the_cap_is_refused(site, fetcher, ask, chunked):
    """With a declared length or without, more than max_bytes is an error; exactly max_bytes is fine."""

    async def stream(request):
        response = web.StreamResponse()
        if not chunked:
            response.content_length = 300_000
        await response.prepare(request)
        for _ in range(3):
            await response.write(bytes(100_000))
        return response

    site.on("/x", stream)
    assert len((await fetcher.fetch(ask(f"{site.url}/x", max_bytes=300_000))).body) == 300_000
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/x", max_bytes=299_999))
    assert caught.value.code == "too_large"


async def test_a_sink_gets_the_body_once(speaking, fetcher, ask):
    """A body that was cut leaves no trace in the sink: it is rewound before the next attempt."""
    url = await speaking(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nWRONG!!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nright",
    )
    sink = io.BytesIO()
    answer = await fetcher.fetch(ask(url), sink=sink)
    assert (answer.body, sink.getvalue()) == (b"", b"right")
    assert (answer.facts.requests, answer.facts.retries) == (2, 1)
    assert answer.facts.bytes_fetched == 5 + 7


async def test_a_full_sink_is_not_a_network_fault(site, fetcher, ask):
    """An OSError of the sink passes through as it is and is not retried."""

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    site.on("/x", lambda _: web.Response(text="body"))
    with pytest.raises(OSError, match="No space left"):
        await fetcher.fetch(ask(f"{site.url}/x"), sink=Full())
    assert len(site.seen) == 1


async def test_many_tasks_share_one_fetcher(site, fetcher, ask):
    """Concurrent fetches each get their own answer."""

    async def echo(request):
        await asyncio.sleep(0)
        return web.Response(text=request.query["n"])

    site.on("/x", echo)
    requests = [ask(f"{site.url}/x", params={"n": str(n)}) for n in range(40)]
    answers = await asyncio.gather(*(fetcher.fetch(request) for request in requests))
    assert [answer.body for answer in answers] == [str(n).encode() for n in range(40)]


async def test_the_budget_is_kept_before_each_request(site, fetcher, ask, clock):
    """Of 28.5 a minute (95 % of 30) the first goes out at once, the others evenly, redirects included."""
    site.on("/x", lambda _: web.Response(text="ok"))
    site.on("/r", lambda _: web.Response(status=302, headers={"Location": "/x"}))
    rate = RateRules(30, "minute")
    for path in ("/x", "/x", "/r"):
        await fetcher.fetch(ask(site.url + path, rate=rate))
    assert clock.waits == pytest.approx([2 / 0.95] * 3)


async def test_budgets_are_per_key_and_host_by_default(site, fetcher, ask, clock):
    """Sources with one key share a budget; without a key the host is the key; another key is another budget."""
    site.on("/x", lambda _: web.Response(text="ok"))
    for key in ("one", "two", None, "one"):
        await fetcher.fetch(ask(f"{site.url}/x", rate=RateRules(60, "minute", key=key)))
    assert clock.waits == pytest.approx([1 / 0.95])


async def test_waiting_for_the_budget_does_not_use_up_the_deadline(site, fetcher, ask, clock):
    """A budget of one an hour makes the second request wait, not fail, and its retries keep their deadline."""
    site.on(
        "/x", [lambda _: web.Response(text="1"), lambda _: web.Response(status=503), lambda _: web.Response(text="2")]
    )
    slow = {"rate": RateRules(1, "hour"), "retry": RetryRules(attempts=3, deadline=60.0)}
    await fetcher.fetch(ask(f"{site.url}/x", **slow))
    assert (await fetcher.fetch(ask(f"{site.url}/x", **slow))).body == b"2"
    assert [round(wait) for wait in clock.waits] == [3789, 0, 3789]


async def test_connections_of_open_sources_are_not_reused_by_guarded_ones(site, fetcher, ask):
    """A kept connection to a private host does not let a source through that may not reach it."""
    site.on("/x", lambda _: web.Response(text="ok"))
    await fetcher.fetch(ask(f"{site.url}/x"))
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/x", allow_private_hosts=False))
    assert caught.value.code == "private_address"
    assert len(site.seen) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_private_hosts_are_refused(site, fetcher, ask, host):
    """Literals and names that lead to this network are refused before a byte is sent, naming the setting; no retry."""
    url = site.url.replace("127.0.0.1", host)
    with pytest.raises(PermanentSourceError, match="allow_private_hosts") as caught:
        await fetcher.fetch(ask(f"{url}/x", allow_private_hosts=False))
    assert caught.value.code == "private_address"
    assert site.seen == []


@pytest.mark.parametrize("url", ["ftp://a.example/", "nonsense", "http://", "http://a b/"])
async def test_an_unusable_address_is_refused(fetcher, ask, url):
    """An address that cannot be fetched is a permanent error, not an exception of a library."""
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(url))
    assert caught.value.code == "bad_url"


async def test_closing_ends_all_connections(site, ask, clock):
    """After the context the fetcher is closed, and a second one works on its own."""
    site.on("/x", lambda _: web.Response(text="ok"))
    for _ in range(2):
        async with AiohttpFetcher(clock, user_agent="probe/1") as opened:
            await opened.fetch(ask(f"{site.url}/x"))
    assert [request.headers["User-Agent"] for request in site.seen] == ["probe/1", "probe/1"]


async def test_an_endless_drip_ends_at_the_deadline(speaking, fetcher, ask):
    """A body that comes a byte at a time, for ever, is a timeout: each byte does not buy more time."""

    async def drip(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(TransientSourceError) as caught:
        await fetcher.fetch(ask(await speaking(drip), timeout=0.2, retry=RetryRules(attempts=1)))
    assert caught.value.code == "timeout"


async def test_silence_ends_at_the_deadline(speaking, fetcher, ask):
    """A server that never answers is a timeout, and tried again."""

    async def silent(reader, _):
        await reader.read()

    with pytest.raises(TransientSourceError, match="2 attempts") as caught:
        await fetcher.fetch(ask(await speaking(silent), timeout=0.1, retry=RetryRules(attempts=2)))
    assert caught.value.code == "timeout"


async def test_a_header_that_is_not_utf8_can_be_stored(fetcher, ask):
    """A byte of Latin-1 in a Content-Type, as old servers send it, is text that every store takes."""

    async def old(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; x=\xe9\r\nX-A: \xc3\xa9\r\nContent-Length: 2\r\n\r\nok"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(old, "127.0.0.1", 0) as server:
        answer = await fetcher.fetch(ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    assert answer.headers["content-type"].encode() == "text/xml; x=é".encode()
    assert answer.headers["x-a"] == "é"
