"""A feed over real HTTP on loopback."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.feeds import FeedSource, FeedSourceConfig
from kasparro_adapters.http import AiohttpFetcher
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import Batch
from kasparro_core.ports import ReadContext

BODY = """<rss version="2.0"><channel><link>/home/</link><item><guid isPermaLink="false">1</guid>
<title>café</title><link>post</link></item></channel></rss>""".encode("iso-8859-1")


class Site:
    """One feed at /feed with an ETag, a permanent redirect to it at /old, one that is gone at /gone."""

    def __init__(self) -> None:
        self.conditional: list[str | None] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/feed", self.feed)
        app.router.add_get("/old", self.old)
        app.router.add_get("/gone", self.gone)
        return app

    async def feed(self, request: web.Request) -> web.Response:
        self.conditional.append(request.headers.get("If-None-Match"))
        headers = {"ETag": '"v1"', "Content-Type": "text/xml; charset=iso-8859-1"}
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304, headers={"ETag": '"v1"'})
        return web.Response(body=BODY, headers=headers)

    async def old(self, request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("/feed")

    async def gone(self, request: web.Request) -> web.Response:
        raise web.HTTPGone


async def _read(root: str, path: str, *earlier: Batch) -> Batch:
    config = FeedSourceConfig(url=root + path, allow_private_hosts=True)
    validators = {validator.request_hash: validator for batch in earlier for validator in batch.validators}
    clock = SystemClock()
    async with AiohttpFetcher(clock) as fetcher:
        source = FeedSource("news", config, Path(), fetcher, clock)
        context = ReadContext(now=clock.now(), validators=validators)
        async with aclosing(cast("Any", source.read("", context))) as batches:
            (batch,) = [batch async for batch in batches]
    return cast("Batch", batch)


@pytest.fixture
async def site() -> Any:
    """The site and its address."""
    served = Site()
    runner = web.AppRunner(served.app())
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    yield served, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_reads_and_revalidates(site: tuple[Site, str]) -> None:
    """The charset of the answer and its address reach the decoder; the second read is a 304."""
    served, root = site
    first = await _read(root, "/feed")
    second = await _read(root, "/feed", first)
    assert [(item.data["title"], item.data["link"]) for item in first.items] == [("café", f"{root}/home/post")]
    assert (second.raw, second.fetch.status) == (None, 304)
    assert served.conditional == [None, '"v1"']


async def test_follows_a_moved_feed(site: tuple[Site, str]) -> None:
    """Relative links stand under where the feed is now."""
    _, root = site
    batch = await _read(root, "/old")
    assert [item.data["link"] for item in batch.items] == [f"{root}/home/post"]


async def test_a_feed_that_is_gone_says_so(site: tuple[Site, str]) -> None:
    """410 is the end of a feed, and an error of its own."""
    _, root = site
    with pytest.raises(PermanentSourceError) as caught:
        await _read(root, "/gone")
    assert caught.value.code == "gone"
