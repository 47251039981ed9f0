"""An upstream that speaks HTTP by hand, byte by byte, so that it can say what no server library would.

At /NAME/SEED?page=N it serves three pages of quotes; one of them, which the seed chooses, is where the fault NAME (see
`fault_catalogue`) shows, until it is healed. The same seed is the same fault.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any, Self

SIZE = 5
PAGES = 3
OK = "200 OK"
_REQUEST = re.compile(rb"GET /([a-z0-9-]+)/(\d+)(?:/[a-z0-9]*)?\?(?:\S*&)?page=(\d+)\S* HTTP/1\.1\r\n")


def rows_of(name: str, seed: int) -> list[dict[str, Any]]:
    """All rows behind a fault: the last page is short, so that the walk ends with it."""
    return [
        {"id": f"{name}-{seed}-{n}", "name": f"Münze {n} — “{n}”", "price": round(n * 1.25 + seed, 2)}
        for n in range(SIZE * PAGES - 1)
    ]


def page_of(name: str, seed: int, page: int) -> bytes:
    """The body of one page (from 1), when all is well."""
    rows = rows_of(name, seed)[(page - 1) * SIZE : page * SIZE]
    return json.dumps(rows, ensure_ascii=False).encode()


def faulty_page(name: str, seed: int) -> int:
    """The page at which the fault shows."""
    return 1 + Random(f"{name} {seed} page").randrange(PAGES)


@dataclass
class Talk:
    """One request and what is said to it. `nth` counts the requests for this page from 1; `random` is the seed's own,
    the same for each attempt."""

    server: FaultServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    name: str
    seed: int
    page: int
    nth: int
    head: bytes

    @property
    def random(self) -> Random:
        """Random numbers that this seed always gives."""
        return Random(f"{self.name} {self.seed}")

    @property
    def good(self) -> bytes:
        """The body that should be here."""
        return page_of(self.name, self.seed, self.page)

    async def say(self, *parts: bytes) -> None:
        """Send bytes as they are. Nothing to send is an occasion for others, too: their turn may be to hang up."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self, status: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer in one piece. A header of None's value is left out."""
        told = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        await self.say(self.begun(status, told) + body)

    def begun(self, status: str, headers: Mapping[str, str]) -> bytes:
        """A status line and headers, to be followed by a body."""
        lines = [f"HTTP/1.1 {status}", "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    async def hang(self) -> None:
        """Say nothing more until the client goes away."""
        while await self.reader.read(1024):
            pass

    def reset(self) -> None:
        """Drop the connection with everything that is still on its way."""
        linger = b"\1\0\0\0\0\0\0\0"
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Speak = Callable[[Talk], Awaitable[None]]


@dataclass
class FaultServer:
    """`async with FaultServer(faults) as server`: listens on a free loopback port. `now` is the clock by which dates in
    headers are told; `waits` collects, by name and seed, the pauses in seconds that answers asked for."""

    faults: Mapping[str, Speak]
    now: Callable[[], datetime]
    healed: set[tuple[str, int]] = field(default_factory=set)
    asked: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    waits: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    sent: int = 0
    port: int = 0
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, name: str, seed: int, host: str = "127.0.0.1") -> str:
        """Where the pages of a fault are."""
        return f"http://{host}:{self.port}/{name}/{seed}"

    def heal(self, name: str, seed: int) -> None:
        """From now on all is well there."""
        self.healed.add((name, seed))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._speak(reader, writer)
        finally:
            writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked = _REQUEST.match(head)
        assert asked, head
        name, seed, page = asked[1].decode(), int(asked[2]), int(asked[3])
        self.asked[name, seed, page] += 1
        talk = Talk(self, reader, writer, name, seed, page, self.asked[name, seed, page], head)
        speak = self.faults.get(name)
        if speak is None or (name, seed) in self.healed or page != faulty_page(name, seed):
            await talk.answer(OK, talk.good)
        else:
            await speak(talk)
