"""Addresses of feeds: remote or a file, and how they are shown."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit, urlunsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: C: is a drive
_PORTS = {"http": 80, "https": 443}
_SECRET = re.compile(
    r"([?&;](?:[\w.-]*(?:token|secret|password|passwd|signature|apikey|api_key|api-key)[\w.-]*|key|auth|sig|pwd)=)[^&;#]*",
    re.IGNORECASE,
)


def scheme(address: str) -> str:
    """The scheme in lower case, "" for a path."""
    found = _SCHEME.match(address.strip())
    return found.group(1).lower() if found else ""


def is_remote(address: str) -> bool:
    """True for http and https."""
    return scheme(address) in {"http", "https"}


def shown(address: str) -> str:
    """The address as it may be logged, stored and shown: no user, no password, no key or token in the query."""
    address = address.strip()
    if not is_remote(address):
        return address
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return _SECRET.sub(r"\1***", urlunsplit((parts.scheme, host, parts.path, parts.query, "")))


def fingerprint(address: str) -> str:
    """Tells one configured address from another; a secret in it does not count."""
    return hashlib.sha256(shown(address).encode("utf-8", "replace")).hexdigest()[:16]


def same_origin(one: str, other: str) -> bool:
    """True when scheme, host and port agree."""
    return _origin(one) == _origin(other)


def with_login(address: str, home: str) -> str:
    """The address with the user and password of another one on the same origin."""
    login, at, _ = urlsplit(home.strip()).netloc.rpartition("@")
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=f"{login}{at}{parts.netloc.rpartition('@')[2]}"))


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address.strip())
    return scheme(address), parts.hostname, parts.port or _PORTS.get(scheme(address))


def request_path(address: str) -> str:
    """Path and query: what stays the same when a feed moves to another host or port."""
    if not is_remote(address):
        return address
    parts = urlsplit(address.strip())
    return urlunsplit(("", "", parts.path, parts.query, ""))


def named(addresses: list[str]) -> dict[str, str]:
    """Partition name → address, in order, each address once. Two that look alike when shown are numbered."""
    names: dict[str, str] = {}
    for address in dict.fromkeys(map(str.strip, addresses)):
        name, count = shown(address), 1
        while name in names:
            count += 1
            name = f"{shown(address)}#{count}"
        names[name] = address
    return names
