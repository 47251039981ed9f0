"""How long requests took, by the clock of the fetcher."""

from __future__ import annotations

import pytest
from aiohttp import web

from kasparro_core.errors import SourceError


def slow(clock, seconds, answer=None):
    """A handler that takes so long."""

    def handle(_):
        clock.seconds += seconds
        return answer or web.Response(text="there")

    return handle


async def test_each_request_that_was_answered_has_its_time(site, fetcher, ask, clock):
    """Redirects and answers that are tried again count by themselves; the waits between them belong to none."""
    moved = web.Response(status=302, headers={"Location": "/y"})
    site.on("/x", [slow(clock, 0.5, web.Response(status=503)), slow(clock, 0.25, moved)])
    site.on("/y", slow(clock, 2.0))
    answer = await fetcher.fetch(ask(f"{site.url}/x"))
    assert clock.waits == [0.25]
    assert answer.facts.took == (0.5, 0.25, 2.0)
    assert answer.facts.requests == 3


async def test_what_failed_tells_its_times_too(site, fetcher, ask, clock):
    """The error has those that were answered; a connection that broke was not."""

    async def breaks(request):
        clock.seconds += 4.0
        request.transport.abort()
        return web.Response()

    site.on("/x", [slow(clock, 1.0, web.Response(status=500)), breaks, slow(clock, 3.0, web.Response(status=404))])
    with pytest.raises(SourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/x"))
    assert caught.value.fetch.took == (1.0, 3.0)
    assert caught.value.fetch.requests == 3
