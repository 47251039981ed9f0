"""A service of this process behind a real uvicorn on loopback, for tests that speak HTTP with it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from kasparro_app.api.app import build_app
from kasparro_app.api.operation import Operation
from kasparro_app.api.registry import OPERATIONS
from kasparro_app.config.origin import Origin
from kasparro_app.keys import key_hash, make_key
from kasparro_app.runtime import open_runtime
from kasparro_app.service import ServeOptions, Service
from kasparro_app.settings import settings_of
from kasparro_core.model import ApiKey, Scope
from kasparro_core.ports import Store
from kasparro_core.services.desk import Desk


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end. Headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any = None


@dataclass
class Live:
    """A service that answers at `url`; `session` is a client without a key, `key` one of scope admin that works."""

    url: str
    service: Service
    session: aiohttp.ClientSession
    key: str = ""

    @property
    def store(self) -> Store:
        """The service's store."""
        return self.service.store

    async def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> Reply:
        """One request, not redirected; `key` goes into `Authorization`."""
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **more.pop("headers", {})}
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **more) as answer:
            body = await answer.read()
            is_json = "json" in answer.content_type and answer.content_type != "application/x-ndjson"
            parsed = await answer.json(content_type=None) if is_json and body else None
            return Reply(answer.status, answer.headers, body, parsed)

    async def get(self, path: str, **more: Any) -> Reply:
        """GET without a key."""
        return await self.ask("GET", path, **more)

    async def post(self, path: str, **more: Any) -> Reply:
        """POST with the admin key."""
        return await self.ask("POST", path, **{"key": self.key, **more})

    async def add_key(self, name: str, scope: Scope) -> str:
        """A new key as `kasparro keys create` makes it."""
        key = make_key()
        async with self.store.begin() as work:
            await work.keys.add(ApiKey(name, scope, key_hash(key), self.service.clock.now()))
            await work.commit()
        return key


@asynccontextmanager
async def serving_api(
    database_url: str,
    root: Path,
    document: Mapping[str, Any] | None = None,
    *,
    options: ServeOptions | None = None,
    operations: Iterable[Operation] = OPERATIONS,
    runtime: Path | None = None,
    keyless: bool = False,
) -> AsyncIterator[Live]:
    """Serve a configuration (a parsed kasparro.toml) for the time of the block. `keyless`: no key is made."""
    settings = settings_of(
        {**(document or {}), "database": {"url": database_url}}, Origin("test"), root, environ={}, overridable=False
    )
    async with open_runtime(settings) as parts:
        service = Service(
            settings=settings,
            options=options or ServeOptions(scheduler=False),
            store=parts.store,
            clock=parts.clock,
            jobs=parts.jobs,
            desk=Desk(parts.store, parts.clock, parts.runner),
        )
        async with listening(build_app(service, operations, runtime=runtime), service) as live:
            if not keyless:
                live.key = await live.add_key(f"tests-{live.url.rpartition(':')[2]}", Scope.ADMIN)
            yield live


@asynccontextmanager
async def listening(app: Callable[..., Any], service: Service) -> AsyncIterator[Live]:
    """Serve an app on a free port of loopback; at the end streams are told to stop and runs are interrupted."""
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        await _until_started(server, serving)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with aiohttp.ClientSession() as session:
                yield Live(url, service, session)
        finally:
            service.stopping.set()
            await service.desk.stop(5)
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """Leaves the signals of the test run alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
    if serving.done():
        await serving
        raise RuntimeError("the server did not start")
