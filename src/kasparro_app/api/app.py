"""The HTTP application: routes, and what stands round them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from kasparro_app.api.auth import Guard, Identify, is_loopback
from kasparro_app.api.errors import Faults
from kasparro_app.api.limits import RateLimit
from kasparro_app.api.middleware import Bodies, Hosts, SafeHeaders, Trace
from kasparro_app.api.openapi import openapi_text
from kasparro_app.api.operation import Operation
from kasparro_app.api.registry import OPERATIONS, Table, nothing_here
from kasparro_app.api.windows import Windows
from kasparro_app.config.tables import ApiTable
from kasparro_app.service import Service

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[Any]]
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1", "[::1]")
_EXPOSED: Final = ("X-Request-ID", "Link", "ETag", "Location", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining")
_GZIP_LEVEL: Final = 5
_GZIP_FROM: Final = 1024


def build_app(
    service: Service,
    operations: Iterable[Operation] = OPERATIONS,
    *,
    lifespan: Lifespan | None = None,
    runtime: Path | None = None,
) -> Starlette:
    """The application for a service.

    `runtime` is a directory that all worker processes of this service share; without one, the rate limit counts in this
    process alone.
    """
    offered = tuple(operations)
    table = Table(service, offered)
    windows = Windows(None if runtime is None else runtime / "rate_limit.db")
    app = Starlette(
        routes=table.routes,
        middleware=_around(service, table, windows),
        lifespan=_life(lifespan, windows),
    )
    app.router.redirect_slashes = False
    app.router.default = nothing_here
    app.state.openapi = openapi_text(offered, service.settings.tables.api)
    return app


def _life(inner: Lifespan | None, windows: Windows) -> Lifespan:
    """The caller's lifespan, with what the app itself opens closed behind it."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            stack.callback(windows.close)
            yield await stack.enter_async_context(inner(app)) if inner is not None else None

    return life


def _around(service: Service, table: Table, windows: Windows) -> list[Middleware]:
    """What a request passes, outermost first."""
    api = service.settings.tables.api
    return [
        # Sees every request and the status of every answer, whoever gave it.
        Middleware(Trace, table=table),
        Middleware(SafeHeaders),
        # Before keys are asked for (a preflight carries none) and outside `Faults`, so that a page may read refusals.
        *_cross_origin(api),
        # Streams are compressed piece by piece; event streams are not.
        Middleware(GZipMiddleware, minimum_size=_GZIP_FROM, compresslevel=_GZIP_LEVEL),
        # From here on everything may raise.
        Middleware(Faults),
        Middleware(Hosts, names=_host_names(service)),
        # Who is it; is that one over the limit (those who guess keys too); may that one pass. All before the path and
        # the body are looked at.
        Middleware(Identify, service=service),
        *_limited(api, windows),
        Middleware(Guard, service=service),
        Middleware(Bodies, max_bytes=api.max_body_bytes, seconds=api.body_timeout),
    ]


def _cross_origin(api: ApiTable) -> list[Middleware]:
    if not api.cors.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=api.cors.origins,
            allow_methods=api.cors.methods,
            allow_headers=api.cors.headers,
            expose_headers=_EXPOSED,
        )
    ]


def _limited(api: ApiTable, windows: Windows) -> list[Middleware]:
    if api.rate_limit is None:
        return []
    return [Middleware(RateLimit, options=api.rate_limit, storage=windows)]


def _host_names(service: Service) -> tuple[str, ...]:
    """As configured; else this machine's names when only this machine can reach the service, else any."""
    configured = service.settings.tables.api.trusted_hosts
    if configured:
        return configured
    return LOOPBACK_NAMES if is_loopback(service.options.host) else ("*",)
