"""The socket that a service listens on."""

from __future__ import annotations

import errno
import ipaddress
import socket

from kasparro_core.errors import ConfigurationError, KasparroError

_BACKLOG = 2048
_REASONS = {
    errno.EADDRINUSE: (
        "Port {port} on {host} is in use by another program.",
        "Stop it, or choose another with --port.",
    ),
    errno.EACCES: ("Port {port} on {host} may not be used by this user.", "Choose a port from 1024 on with --port."),
    errno.EADDRNOTAVAIL: ("{host} is not an address of this machine.", "Choose another with --host."),
}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0: any free one. Raises KasparroError with what to do when that cannot be."""
    family, address = _resolved(host, port)
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        other = f"Port {{port}} on {{host}} cannot be listened on: {error.strerror}.", None
        what, hint = _REASONS.get(error.errno or 0, other)
        raise KasparroError(what.format(host=host, port=port), code="listen", hint=hint) from error


def is_private(listening: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def address_of(listening: socket.socket) -> str:
    """Where people find it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigurationError(f"There is no address {host!r} to listen on.", hint="Give one with --host.") from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)
