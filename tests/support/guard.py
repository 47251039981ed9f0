"""No test reaches beyond this machine: a connection or a name look-up that would is refused, and fails its test."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

_LOCAL_NAMES = frozenset({"", "localhost", "ip6-localhost", socket.gethostname()})


class OutsideError(AssertionError):
    """A test tried to leave this machine."""


def is_local(host: object) -> bool:
    """True for loopback and unspecified addresses, and for names that mean this machine."""
    if host is None:
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return text.casefold() in _LOCAL_NAMES or text.casefold().endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


@contextmanager
def nothing_leaves(variable: str) -> Iterator[list[str]]:
    """Guard connections and look-ups; yields what was refused.

    The host of the URL in the environment variable `variable` is let through, with the addresses it resolves to.
    """
    allowed = {urlsplit(os.environ.get(variable, "")).hostname}
    refused: list[str] = []

    def check(host: object, what: str) -> None:
        if is_local(host) or host in allowed:
            return
        refused.append(f"{what} {host}")
        raise OutsideError(f"{what} {host}: tests stay on this machine")

    def check_address(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0], "connection to")

    connect, connect_ex, send_to, look_up = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.socket.sendto,
        socket.getaddrinfo,
    )

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check_address(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check_address(self, address)
        return connect_ex(self, address)

    def guarded_send_to(self: socket.socket, data: Any, *rest: Any) -> int:
        check_address(self, rest[-1])
        return send_to(self, data, *rest)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host, "look-up of")
        found = look_up(host, *args, **kwargs)
        if host in allowed:
            allowed.update(address[0] for *_, address in found)
        return found

    with (
        mock.patch.object(socket.socket, "connect", guarded_connect),
        mock.patch.object(socket.socket, "connect_ex", guarded_connect_ex),
        mock.patch.object(socket.socket, "sendto", guarded_send_to),
        mock.patch.object(socket, "getaddrinfo", guarded_look_up),
    ):
        yield refused
