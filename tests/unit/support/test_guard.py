"""The guard that keeps tests on this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest
from guard import OutsideError, is_local, nothing_leaves


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("api.localhost", True),
        (b"localhost", True),
        (None, True),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("::ffff:192.0.2.1", False),
        ("example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_tells_this_machine_from_others(host, local):
    """Loopback in all its spellings is local; private and public addresses and other names are not."""
    assert is_local(host) is local


def test_refuses_connections_and_look_ups_and_remembers_them():
    """Each way out raises, and is noted even if the error is swallowed."""
    with nothing_leaves("UNSET_VARIABLE") as refused, socket.socket() as stream:
        for leave in (
            lambda: stream.connect(("192.0.2.1", 80)),
            lambda: stream.connect_ex(("192.0.2.1", 80)),
            lambda: socket.create_connection(("192.0.2.1", 80)),
            lambda: socket.getaddrinfo("example.com", 443),
        ):
            with pytest.raises(OutsideError):
                leave()
    assert len(refused) == 4


async def test_refuses_asynchronous_connections():
    """The event loop's connections go through the same guard."""
    with nothing_leaves("UNSET_VARIABLE") as refused:
        with pytest.raises(OutsideError):
            await asyncio.open_connection("192.0.2.1", 80)
        with pytest.raises(OutsideError):
            await asyncio.open_connection("example.com", 80)
    assert len(refused) == 2


async def test_lets_loopback_through():
    """A server of the test is reached by address and by name."""
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with nothing_leaves("UNSET_VARIABLE") as refused:
            for host in ("127.0.0.1", "localhost"):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                await writer.wait_closed()
    assert refused == []


def test_lets_the_given_database_through(monkeypatch):
    """The host of the configured test database and the addresses it resolves to are let through, and no other."""
    reached = []
    monkeypatch.setenv("SOME_URL", "postgresql://me@db.example:5432/x")
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port: [(2, 1, 6, "", ("192.0.2.7", port))])
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    with nothing_leaves("SOME_URL") as refused, socket.socket() as stream:
        assert socket.getaddrinfo("db.example", 5432)
        stream.connect(("192.0.2.7", 5432))
        with pytest.raises(OutsideError):
            socket.getaddrinfo("other.example", 5432)
        with pytest.raises(OutsideError):
            stream.connect(("192.0.2.8", 5432))
    assert reached == [("192.0.2.7", 5432)]
    assert refused == ["look-up of other.example", "connection to 192.0.2.8"]
