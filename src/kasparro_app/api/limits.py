"""The API's rate limit per caller: `limits` counts, in this process or, for several workers, in a file they share."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from fractions import Fraction
from typing import Final

from limits import (
    RateLimitItem,
    RateLimitItemPerDay,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
    RateLimitItemPerMonth,
    RateLimitItemPerSecond,
)
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kasparro_app.api.context import context_of
from kasparro_app.api.problems import Problem
from kasparro_core.config import LimitOptions

_ITEMS: Final = {
    "second": RateLimitItemPerSecond,
    "minute": RateLimitItemPerMinute,
    "hour": RateLimitItemPerHour,
    "day": RateLimitItemPerDay,
    "month": RateLimitItemPerMonth,
}
_FINEST: Final = 60
_log = logging.getLogger("kasparro_app.api")


def rate_item(options: LimitOptions) -> RateLimitItem:
    """The limit as `limits` counts it, in whole requests: 2.5 a minute are 5 in two minutes."""
    share = Fraction(str(options.requests)).limit_denominator(_FINEST)
    return _ITEMS[options.per](max(share.numerator, 1), share.denominator)


class RateLimit:
    """ASGI: counts requests per caller and refuses those above the limit.

    A caller is a valid key, else an address: a key that is not valid does not give a fresh budget. Open operations
    (health) are not counted.
    """

    def __init__(self, app: ASGIApp, options: LimitOptions, storage: Storage) -> None:
        self._app = app
        self._item = rate_item(options)
        self._limiter = FixedWindowRateLimiter(storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its answer with `RateLimit-*` headers. Raises Problem: 429 with Retry-After."""
        if scope["type"] != "http" or context_of(scope).is_open:
            await self._app(scope, receive, send)
            return
        headers = await self._hit(_caller(scope))

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, told)

    async def _hit(self, caller: str) -> dict[str, str]:
        """Count a request; returns the headers that tell what is left. A store that fails stops nobody: the limit
        protects the service and must not be what takes it down."""
        try:
            allowed = await self._limiter.hit(self._item, caller)
            stats = await self._limiter.get_window_stats(self._item, caller)
        except StorageError as error:
            _log.warning("the rate limit does not count just now: %s", error)
            return {}
        wait = str(max(1, math.ceil(stats.reset_time - time.time())))
        headers = {
            "RateLimit-Limit": str(self._item.amount),
            "RateLimit-Remaining": str(max(stats.remaining, 0)),
            "RateLimit-Reset": wait,
        }
        if not allowed:
            detail = f"The limit is {self._item}. Try again in {wait} s."
            raise Problem(429, "Too Many Requests", detail, headers={**headers, "Retry-After": wait})
        return headers


def _caller(scope: Scope) -> str:
    principal = context_of(scope).principal
    if principal is not None:
        return f"key:{principal.name}"
    return f"address:{_network(scope['client'][0])}" if scope.get("client") else "address:unknown"


def _network(host: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one address of it has them all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
