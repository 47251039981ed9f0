"""Keeps requests on the public internet: sockets to other addresses are refused where they are made.

That place is the only one that sees every address: of literals, of names (whatever the resolver answered this time)
and of each redirect.
"""

from __future__ import annotations

import ipaddress
import socket
from contextvars import ContextVar

from aiohttp import AddrInfoType

refused_addresses: ContextVar[list[str] | None] = ContextVar("refused_addresses", default=None)
"""Set to a list around a request: the addresses that were refused to it. Happy Eyeballs joins the errors of several
addresses into one text, so the errors alone do not say why a connection failed."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_INSIDE = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("168.63.129.16/32"))
"""Protocol assignments (RFC 6890), which older Pythons take for public but for their first few; and the host of a
virtual machine in Azure, which hands out its secrets."""


class PrivateAddressError(OSError):
    """A connection to an address that is not public."""


def is_public(address: str) -> bool:
    """False for loopback, private, link-local, site-local, shared, multicast, reserved and unspecified addresses, also
    where an IPv6 address wraps one of them (mapped, 6to4, NAT64, either end of Teredo)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local or not all(is_public(str(end)) for end in ip.teredo or ()):
            return False
        ip = _unwrapped(ip)
    if any(ip in network for network in _INSIDE):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _unwrapped(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def guarded_socket(info: AddrInfoType) -> socket.socket:
    """A `socket_factory` for aiohttp's connector. Raises PrivateAddressError for an address that is not public."""
    family, kind, proto, _, address = info
    if not is_public(str(address[0])):
        refused = refused_addresses.get()
        if refused is not None:
            refused.append(str(address[0]))
        raise PrivateAddressError(f"{address[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=proto)
