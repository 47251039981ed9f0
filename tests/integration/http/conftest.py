"""Real servers on loopback, and a clock that tells how long was waited."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from kasparro_adapters.http import AiohttpFetcher
from kasparro_core.ports import FetchRequest, RetryRules


class VirtualClock:
    """A clock whose sleeps return at once, move it on and are listed in `waits`."""

    def __init__(self):
        self.at, self.seconds, self.waits = datetime(2026, 11, 21, 8, tzinfo=UTC), 0.0, []

    def now(self):
        self.at += timedelta(microseconds=1)
        return self.at

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds, /):
        self.waits.append(seconds)
        self.seconds += seconds
        self.at += timedelta(seconds=seconds)


class Site:
    """One origin: answers given per path, and every request it saw."""

    def __init__(self):
        self.routes, self.seen, self.url = {}, [], ""

    def on(self, path, handler):
        """Answer a path with a Response factory, a handler, or a list of either used one after the other."""
        self.routes[path] = handler

    async def handle(self, request):
        self.seen.append(request)
        handler = self.routes.get(request.path)
        if isinstance(handler, list):
            handler = handler.pop(0) if len(handler) > 1 else handler[0]
        if handler is None:
            return web.Response(status=404, text="no such page")
        answer = handler(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    def count(self, path):
        return sum(request.path == path for request in self.seen)


@pytest.fixture
async def serving():
    """Starts sites: `site = await serving()`."""
    async with AsyncExitStack() as stack:

        async def start():
            site = Site()
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", site.handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return site

        yield start


@pytest.fixture
async def site(serving):
    """One origin."""
    return await serving()


@pytest.fixture
async def speaking():
    """Starts a server that speaks raw bytes: `url = await speaking(b"HTTP/1.1 200 OK...")`, one answer a connection.

    An answer may be a coroutine function over (reader, writer). The last one is repeated; connections are closed after.
    """
    async with AsyncExitStack() as stack:

        async def start(*answers):
            left, tasks = list(answers), set()

            async def converse(reader, writer):
                tasks.add(asyncio.current_task())
                answer = left.pop(0) if len(left) > 1 else left[0]
                try:
                    await reader.readuntil(b"\r\n\r\n")
                    if callable(answer):
                        await answer(reader, writer)
                    else:
                        writer.write(answer)
                        await writer.drain()
                except (ConnectionError, asyncio.IncompleteReadError):
                    return
                finally:
                    writer.close()

            server = await asyncio.start_server(converse, "127.0.0.1", 0)

            async def stop():
                server.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            stack.push_async_callback(stop)
            return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

        yield start


@pytest.fixture
def clock():
    """A virtual clock."""
    return VirtualClock()


@pytest.fixture
async def fetcher(clock):
    """A fetcher on the virtual clock whose jitter is always half of its ceiling."""
    async with AiohttpFetcher(clock, draw=lambda: 0.5) as opened:
        yield opened


@pytest.fixture
def ask():
    """Makes requests that may reach loopback and are tried three times."""

    def make(url, **given):
        rules = {"retry": RetryRules(attempts=3), "allow_private_hosts": True, "timeout": 30.0, **given}
        return FetchRequest("src", url, **rules)

    return make
