"""Addresses: what may be fetched, what belongs together, and how an address is shown without its secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from yarl import URL

HIDDEN = "***"
SCHEMES = frozenset({"http", "https"})

_SENSITIVE = re.compile(
    r"key(?!word)|token|secret|passw|pwd|signature|credential|authorization|cookie|^(?:sig|auth)$", re.IGNORECASE
)
_NOT_IN_HOSTS = re.compile(r"[\s\x00-\x20<>\"'`^{|}\\]")


def is_sensitive(name: str) -> bool:
    """True for names of parameters and headers that usually carry a secret."""
    return _SENSITIVE.search(name) is not None


def parse_url(text: str) -> URL:
    """An absolute http(s) address. Raises ValueError that says what is wrong with it, without showing it."""
    try:
        url = URL(text)
    except (ValueError, TypeError) as error:
        raise ValueError("the address cannot be parsed") from error
    if url.scheme not in SCHEMES:
        raise ValueError(f"expected an address that begins with http:// or https://, found scheme {url.scheme!r}")
    if not url.host:
        raise ValueError("the address names no host")
    if _NOT_IN_HOSTS.search(url.host):
        raise ValueError("the host name holds a character that no host name has")
    return url


def resolve(base: URL, location: str) -> URL:
    """Where `location` (absolute or relative) leads from `base`, without user and fragment. Raises ValueError."""
    try:
        joined = base.join(URL(location))
    except (ValueError, TypeError) as error:
        raise ValueError("the address cannot be parsed") from error
    return parse_url(str(joined)).with_user(None).with_fragment(None)


def same_origin(one: URL, other: URL) -> bool:
    """True when scheme, host and port agree."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def without_params(url: URL, names: Collection[str] = (), values: Collection[str] = ()) -> URL:
    """The address without the query parameters of these names or values."""
    kept = [(name, value) for name, value in url.query.items() if name not in names and value not in values]
    return url if len(kept) == len(url.query) else url.with_query(kept)


def redacted(url: URL, secret_params: Collection[str] = ()) -> str:
    """The address for logs, errors and ledgers: no user, no fragment, values of secret parameters as `***`."""
    bare = url.with_user(None).with_fragment(None) if url.user is not None or url.fragment else url
    hidden = {name for name in bare.query if name in secret_params or is_sensitive(name)}
    if not hidden:
        return str(bare)
    return str(bare.with_query([(name, HIDDEN if name in hidden else value) for name, value in bare.query.items()]))


def scrubbed(text: str, secrets: Mapping[str, str]) -> str:
    """The text without any of the secret values (an upstream may echo a key in its error message)."""
    for value in secrets.values():
        for part in {value, value.rpartition(" ")[2]}:
            if part:
                text = text.replace(part, HIDDEN)
    return text
