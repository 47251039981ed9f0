"""What answers before the application is there, and how long the application stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event as Gate

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from kasparro_app.serving.ending import Ending
from kasparro_app.serving.front import Front
from kasparro_core.errors import KasparroError


class Told(Ending):
    """An ending that leaves the signals of the test's process alone."""

    def guard(self) -> None:
        pass

    def fail(self, error: Exception) -> None:
        self.error = error


class Life:
    """An application that says whether it is open."""

    def __init__(self) -> None:
        self.opened, self.closed = asyncio.Event(), asyncio.Event()

    def app(self) -> Starlette:
        async def page(_request: Request) -> Response:
            return PlainTextResponse("here")

        return Starlette(routes=[Route("/", page)], lifespan=self.lifespan)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.opened.set()
        yield
        self.closed.set()


class Server:
    """The server's side of the lifespan protocol."""

    def __init__(self, build: Callable[[], Starlette]) -> None:
        self.ending = Told()
        self.front = Front(build, self.ending)
        self.tells: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.hears: asyncio.Queue[str] = asyncio.Queue()

    async def live(self) -> None:
        async def hear(message: dict[str, str]) -> None:
            await self.hears.put(message["type"])

        await self.front({"type": "lifespan"}, self.tells.get, hear)  # type: ignore[arg-type]

    async def tell(self, what: str) -> None:
        await self.tells.put({"type": f"lifespan.{what}"})


async def test_what_requests_need_is_open_until_they_are_answered() -> None:
    """Being told to end does not close the application; the server's word that all are answered does."""
    life = Life()
    server = Server(life.app)
    living = asyncio.create_task(server.live())
    await server.tell("startup")
    assert await server.hears.get() == "lifespan.startup.complete"
    await life.opened.wait()
    server.ending.stopping.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not life.closed.is_set()
    await server.tell("shutdown")
    assert await server.hears.get() == "lifespan.shutdown.complete"
    assert life.closed.is_set()
    await living


async def test_an_application_that_cannot_be_ends_the_process() -> None:
    """The error is kept for whoever started it."""

    def build() -> Starlette:
        raise KasparroError("It cannot be.", code="internal")

    server = Server(build)
    living = asyncio.create_task(server.live())
    await server.tell("startup")
    await server.tell("shutdown")
    await living
    assert str(server.ending.error) == "It cannot be."


def test_the_process_lives_before_its_application_is_there() -> None:
    """/health/live is 200, everything else 503 with Retry-After; then the application answers."""
    go_on = Gate()

    def build() -> Starlette:
        go_on.wait(10)
        return Life().app()

    with TestClient(Front(build, Told())) as client:
        assert client.get("/health/live").json() == {"status": "alive"}
        early = client.get("/")
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        assert early.json()["type"] == "urn:kasparro:problem:starting"
        assert early.json()["request_id"] == early.headers["x-request-id"]
        assert early.headers["content-type"] == "application/problem+json"
        go_on.set()
        while (answer := client.get("/")).status_code == 503:
            pass
        assert answer.text == "here"
