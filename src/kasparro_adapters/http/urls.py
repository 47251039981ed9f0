"""Addresses: what may be fetched, what belongs together, and how an address is shown without its secrets."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable
from urllib.parse import quote, quote_plus

from yarl import URL

from kasparro_core.ports.fetch import FetchRequest

HIDDEN = "***"
TELLING = 8
"""So many signs of a value that is found elsewhere tell that it is a secret: of fewer, it may be anything."""

SCHEMES = frozenset({"http", "https"})

_SENSITIVE = re.compile(
    r"key(?!word)|token|secret|passw|pwd|signature|credential|authorization|cookie|^(?:sig|(?:x-)?auth)$", re.IGNORECASE
)
_ESCAPE = re.compile("%[0-9A-F]{2}")
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


def redacted(url: URL, secret_params: Collection[str] = (), secrets: Collection[str] = ()) -> str:
    """The address for logs, errors and ledgers: no user, no fragment; as `***` the values of secret parameters, and
    each of the `secrets` of TELLING signs or more, wherever in path and query an upstream repeats it."""
    bare = url.with_user(None).with_fragment(None) if url.user is not None or url.fragment else url
    hidden = {name for name in bare.query if name in secret_params or is_sensitive(name)}
    if hidden:
        bare = bare.with_query([(name, HIDDEN if name in hidden else value) for name, value in bare.query.items()])
    telling = [secret for secret in secrets if len(secret) >= TELLING]
    if scrubbed(bare.path, telling) != bare.path:
        bare = bare.with_path(scrubbed(bare.path, telling), keep_query=True)
    query = [(scrubbed(name, telling), scrubbed(value, telling)) for name, value in bare.query.items()]
    return str(bare if query == list(bare.query.items()) else bare.with_query(query))


def secrets_of(request: FetchRequest) -> frozenset[str]:
    """What no text may show of a request: its secrets, and what stands plainly under a name that secrets have, in
    parameters, headers and address, if it is of TELLING signs or more and no part of the address's path."""
    url = URL(request.url)
    named = [*request.params.items(), *request.headers.items(), *url.query.items()]
    plain = {part for name, value in named if is_sensitive(name) for part in _parts(value) if len(part) >= TELLING}
    declared = [*request.secret_headers.values(), *request.secret_params.values(), url.password or url.user or ""]
    return frozenset(
        {part for value in declared for part in _parts(value)} | {part for part in plain if part not in url.path}
    )


def _parts(value: str) -> Iterable[str]:
    """A secret, with and without its scheme ("Bearer ..."); of a login the password, or the user who needs none."""
    return filter(None, (value, value.rpartition(" ")[2], _password(value)))


def _password(value: str) -> str:
    scheme, _, login = value.partition(" ")
    try:
        user, _, password = base64.b64decode(login if scheme.lower() == "basic" else "").decode().partition(":")
    except ValueError:
        return ""
    return password or user


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secret values, plain or percent-encoded (an upstream may echo a key in its error
    message)."""
    shapes = {shape for value in secrets for shape in (value, quote(value, ""), quote(value), quote_plus(value))}
    shapes |= {_ESCAPE.sub(lambda found: found[0].lower(), shape) for shape in shapes}
    for shape in sorted(shapes | {value.replace("+", " ") for value in shapes}, key=len, reverse=True):
        text = text.replace(shape, HIDDEN)
    return text
