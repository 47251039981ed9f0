"""Who calls, and whether they may: keys in three headers, checked before anything else of the request is looked at."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kasparro_app.api.context import Principal, context_of
from kasparro_app.api.problems import Problem
from kasparro_app.keys import key_hash, known_key
from kasparro_app.service import Service
from kasparro_core.model import ApiKey
from kasparro_core.model import Scope as KeyScope

HEADERS: Final = ("x-api-key", "x-scheduler-token")
"""Besides `Authorization: Bearer`."""
CONFIGURED: Final = "(api.admin_key)"
"""The name of the key in the configuration; no key made by `kasparro keys` can have it."""
_OF_PROXIES: Final = frozenset({"basic", "digest", "negotiate"})
"""Schemes by which a proxy in front asks who it is, and which it passes on."""
_JWT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
_RANKS: Final = {KeyScope.READ: 0, KeyScope.TRIGGER: 1, KeyScope.ADMIN: 2}
_HOW: Final = "Send a key as `Authorization: Bearer KEY`, `X-API-Key: KEY` or `X-Scheduler-Token: KEY`."
_NONE_YET: Final = "No key exists yet. Make one with `kasparro keys create NAME --scope {needed}`."


class Identify:
    """ASGI: finds out whose key a request carries. Refuses nobody: `Guard` does, after the rate limit has counted."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        api = service.settings.tables.api
        self._app = app
        self._service = service
        self._reads_too = api.require_key_for_reads or api.rate_limit is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the principal in the context. Where nobody asks who it is, the database is not asked either: a probe
        must not fail for the key that it carries. Raises StorageError."""
        if scope["type"] == "http" and (
            scope["method"] == "POST" or (self._reads_too and not context_of(scope).is_open)
        ):
            presented = presented_keys(Headers(scope=scope))
            if presented:
                context_of(scope).principal = principal_of(presented, await stored_keys(self._service))
        await self._app(scope, receive, send)


class Guard:
    """ASGI: lets through what may pass.

    Whatever is no plain read (every POST, also one to an unknown path) needs a key of scope `trigger` or `admin`,
    unless the service runs `--insecure` on loopback. Reads need any key when `api.require_key_for_reads` is set.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._key_for_reads = service.settings.tables.api.require_key_for_reads
        self._insecure = service.options.insecure and is_loopback(service.options.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or raise Problem: 401 without a valid key, 403 without the scope."""
        if scope["type"] == "http":
            await self._check(scope)
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        context, headers = context_of(scope), Headers(scope=scope)
        posting = scope["method"] == "POST"
        if not posting and (not self._key_for_reads or context.is_open):
            return
        if self._insecure and not any(presented_keys(headers)):
            _refuse_foreign_page(headers)
            context.principal = Principal("(insecure)", KeyScope.ADMIN)
        if context.principal is None:
            raise await self._unauthorized(headers, context.needs or "trigger")
        if posting:
            check_scope(context.principal, context.needs or "trigger")

    async def _unauthorized(self, headers: Headers, needed: str) -> Problem:
        if any(presented_keys(headers)):
            return _challenge("The key is not known here, or was revoked.", 'error="invalid_token"')
        works = any(key.revoked_at is None for key in await stored_keys(self._service))
        return _challenge(_HOW if works else f"{_NONE_YET.format(needed=needed)} {_HOW}")


def presented_keys(headers: Headers) -> list[str]:
    """The keys that a request carries, each once; "" stands for what is none, and never works. A cloud's own token (a
    JWT, RFC 7519) may stand in `Authorization` where ours is in another header, and is none of them."""
    bearer = list(_bearer(headers))
    own = [value.strip() for name in HEADERS for value in headers.getlist(name)]
    if own:
        bearer = [token for token in bearer if not _JWT.fullmatch(token)]
    return list(dict.fromkeys([*bearer, *own]))


async def stored_keys(service: Service) -> Sequence[ApiKey]:
    """All keys as they are at this instant, with the configured one. They are read for every request that carries a
    key, so that one made or revoked by the command line counts at once. Raises StorageError."""
    configured = service.settings.tables.api.admin_key
    async with service.store.begin(write=False) as work:
        keys = list(await work.keys.list())
    if configured is not None and configured.get_secret_value():
        hashed = key_hash(configured.get_secret_value())
        keys.append(ApiKey(CONFIGURED, KeyScope.ADMIN, hashed, service.clock.now()))
    return keys


def principal_of(presented: Sequence[str], keys: Sequence[ApiKey]) -> Principal | None:
    """Whose keys are presented; None unless all of them work: a wrong one is never covered up by another."""
    found = [known_key(text, keys) for text in presented]
    working = [key for key in found if key is not None and key.revoked_at is None]
    if not working or len(working) < len(found):
        return None
    best = max(working, key=lambda key: _RANKS[key.scope])
    return Principal(best.name, best.scope)


def check_scope(principal: Principal | None, needed: Literal["trigger", "admin"] | None) -> None:
    """Raise Problem (403) unless the scope of the principal is enough."""
    if needed is None or (principal is not None and _RANKS[principal.scope] >= _RANKS[KeyScope(needed)]):
        return
    raise Problem(
        403,
        "Forbidden",
        f"This key may not do that: it takes a key of scope {needed}.",
        headers={"WWW-Authenticate": f'Bearer realm="kasparro", error="insufficient_scope", scope="{needed}"'},
    )


def is_loopback(host: str) -> bool:
    """Whether an address to listen on reaches this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bearer(headers: Headers) -> Iterator[str]:
    for value in headers.getlist("authorization"):
        scheme, _, credentials = value.partition(" ")
        if scheme.lower() not in _OF_PROXIES:
            yield credentials.strip() if scheme.lower() == "bearer" else ""


def _refuse_foreign_page(headers: Headers) -> None:
    """Without keys, a page of another origin that is open in a browser of this machine could post here (CSRF)."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise Problem(403, "Forbidden", "Pages of other origins may not call this service without a key.")


def _challenge(detail: str, more: str = "") -> Problem:
    value = 'Bearer realm="kasparro"' + (f", {more}" if more else "")
    return Problem(401, "Unauthorized", detail, headers={"WWW-Authenticate": value})
