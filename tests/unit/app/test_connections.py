"""Clients that hold connections without asking anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from kasparro_app.serving import connections
from kasparro_app.serving.connections import Connection
from kasparro_app.serving.worker import server_config

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Takes longer than a head may take."""
    await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.fixture
async def connect(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """Connects to a server that waits 0.1 seconds for a head and takes two connections."""
    monkeypatch.setattr(connections, "HEAD_PATIENCE", 0.1)
    monkeypatch.setattr(connections, "MOST", 2)
    config, state = server_config(slow), ServerState()
    config.load()
    assert config.http_protocol_class is Connection
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
    opened: list[asyncio.StreamWriter] = []

    async def to_it() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        opened.append(writer)
        return reader, writer

    yield to_it
    for writer in opened:
        writer.close()
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side hangs up."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHos"])
async def test_who_does_not_ask_is_hung_up_on(connect: Connect, said: bytes) -> None:
    """No head, or half of one: the connection ends without an answer."""
    reader, writer = await connect()
    writer.write(said)
    assert await ended(reader) == b""


async def test_a_head_bit_by_bit_gets_no_more_time(connect: Connect) -> None:
    """Each byte within the time, the head not: hung up on."""
    reader, writer = await connect()
    ending = asyncio.create_task(ended(reader))
    for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 100:
        if ending.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
    assert await ending == b""
    assert writer.transport.get_write_buffer_size() == 0


async def test_an_answer_may_take_its_time(connect: Connect) -> None:
    """The limit is for the head alone, also for the second request of a connection."""
    reader, writer = await connect()
    for _ in range(2):
        writer.write(REQUEST)
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    writer.write(REQUEST[:10])
    assert await ended(reader) == b""


async def test_too_many_are_hung_up_on_and_the_others_served(connect: Connect) -> None:
    """The third of two is refused at once; the ones before it are answered."""
    (reader, writer), _ = await connect(), await connect()
    third, _ = await connect()
    writer.write(REQUEST)
    assert await ended(third) == b""
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
