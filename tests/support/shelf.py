"""A list of things upstream that changes between runs, read by the real adapter for HTTP, by a process that may be
killed at any commit; and what has to be marked as gone after each run, worked out from what was served alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from scripted import SteppingClock, Told
from yarl import URL

from kasparro_adapters.http import HttpSource, HttpSourceConfig, JsonDecoder
from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_core.errors import TransientSourceError, TransientStorageError
from kasparro_core.model import FetchFacts, RecordQuery, Run
from kasparro_core.ports import FetchRequest, FetchResponse, Store
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

NAME = "shelf"


class Killed(BaseException):
    """The process is dead."""


@dataclass
class Shelf:
    """The upstream, in pages of `size`. `asked` holds what each page of the newest walk was served with; `fails_at` is
    a request (from 1, of one run) that fails; `hidden` ids are left out of pages that are counted with them."""

    clock: SteppingClock
    size: int = 3
    etags: bool = True
    things: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    fails_at: int = 0
    hidden: set[str] = field(default_factory=set)

    async def fetch(self, request: FetchRequest, /, *, sink: Any = None) -> FetchResponse:
        """One page, or 304."""
        url = URL(request.url).update_query(request.params)
        page = int(url.query["page"])
        if len(self.statuses) + 1 == self.fails_at:
            raise TransientSourceError("the shelf is away", source=NAME, code="http_503")
        here = self.things[(page - 1) * self.size : page * self.size]
        rows = [row for row in here if row.get("id") not in self.hidden]
        if page == 1:
            self.asked.clear()
        self.asked[page] = [dict(row) for row in rows]
        body = json.dumps(rows).encode()
        etag = sha256(body).hexdigest()
        same = self.etags and request.validator is not None and request.validator.etag == etag
        self.statuses.append(304 if same else 200)
        facts = FetchFacts(self.clock.now(), url=str(url), status=self.statuses[-1], requests=1)
        headers = {"etag": etag} if self.etags else {}
        return FetchResponse(self.statuses[-1], str(url), headers, b"" if same else body, facts)


class Mortal:
    """A store whose process dies at the commit with this number (0: never), before or after it happens."""

    def __init__(self, store: Store, fuse: int = 0, *, late: bool = False) -> None:
        self._store = store
        self._fuse = fuse
        self._late = late

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[Any]:
        async with self._store.begin(write=write) as work:
            yield _Work(work, self) if write else work

    async def commit(self, work: Any) -> None:
        """Commit, unless that is the end."""
        self._fuse -= 1
        if self._fuse == 0 and not self._late:
            raise Killed
        await work.commit()
        if self._fuse == 0:
            raise Killed


class Unheard(Mortal):
    """A store that loses the answer to the commit with this number (0: to none)."""

    async def commit(self, work: Any) -> None:
        """Commit, and say so unless it is that one."""
        self._fuse -= 1
        await work.commit()
        if self._fuse == 0:
            raise TransientStorageError("the connection broke during COMMIT")


class _Work:
    def __init__(self, work: Any, store: Mortal) -> None:
        self._work = work
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    async def commit(self) -> None:
        await self._store.commit(self._work)


class Bench:
    """One store, one shelf, and processes that come and go. `options` are those of the source."""

    def __init__(self, store: Store, *, size: int = 3, etags: bool = True, most: float = 1.0, **options: Any) -> None:
        self.clock = SteppingClock()
        self.store = store
        self.shelf = Shelf(self.clock, size, etags)
        self.told = Told()
        self.mapping = {"key": "id", "title": "t", "external_id": "e"}
        self.most = most
        self.calm = 1e9
        self.keep_raw = options.pop("keep_raw", True)
        self._owners = MemoryOwners()
        self._options = options

    def job(self) -> SourceJob:
        """The source as it stands in a configuration."""
        table: dict[str, Any] = {
            "type": "http",
            "url": "https://shelf.example/things",
            "paginate": {"type": "page", "size": self.shelf.size},
            "mapping": self.mapping,
            **self._options,
        }
        config = HttpSourceConfig.model_validate(table)
        source = HttpSource(NAME, config, self.shelf, self.clock, walk_ttl=1e9, calm=self.calm)
        return SourceJob(
            source,
            config.record_mapping(NAME),
            keep_raw=self.keep_raw,
            max_rejected=1.0,
            fail_rejected=1.0,
            mark_gone=True,
            mark_gone_max=self.most,
        )

    async def run(self, *, fuse: int = 0, late: bool = False, full: bool = False) -> Run | None:
        """One process, one run. None: it was killed."""
        self.shelf.statuses.clear()
        handle = MemoryHandle(self._owners)
        store: Any = Mortal(self.store, fuse, late=late)
        runner = Runner(store, handle, self.clock, {"json": JsonDecoder()}, self.told)
        try:
            return await runner.run(self.job(), full=full)
        except Killed:
            return None
        finally:
            await handle.close()

    async def replay(self) -> Run:
        """Normalize everything again."""
        handle = MemoryHandle(self._owners)
        replayer = Replayer(self.store, handle, self.clock, {"json": JsonDecoder()}, self.told)
        try:
            return await replayer.replay(self.job())
        finally:
            await handle.close()

    async def keys(self, *, gone: bool) -> set[str]:
        """Those of the records that are gone, or of the others."""
        async with self.store.begin(write=False) as work:
            return {row.record.key for row in await work.records.page(RecordQuery(source=NAME, gone=gone), limit=10**6)}
