"""Reading over HTTP: pages of 1,000 rows, the first against a late one, and whole results as ndjson and csv.

    python benchmarks/export.py sqlite:////tmp/bench.db --rows 200000
    python benchmarks/export.py postgresql://user:password@host/empty_database --rows 200000

The database must be empty: the benchmark migrates and fills it. Server and client share this process, so that the
growth of memory is that of both; nothing of an answer is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from sql_write import START, batches

from kasparro_app.api.app import build_app
from kasparro_app.config.origin import Origin
from kasparro_app.runtime import open_runtime
from kasparro_app.service import ServeOptions, Service
from kasparro_app.settings import settings_of
from kasparro_core.model import Observation
from kasparro_core.ports import Store
from kasparro_core.services.desk import Desk

PLAIN = {"Accept-Encoding": "identity"}


async def fill(store: Store, rows: int) -> None:
    """New quotes, 10,000 in a commit."""
    for batch in batches(rows, 10_000, 0):
        async with store.begin() as work:
            await work.records.upsert(batch, Observation("bench", 1, None, START))
            await work.commit()


@asynccontextmanager
async def serving(url: str, rows: int, folder: Path) -> AsyncIterator[str]:
    """The API on a free port of loopback."""
    settings = settings_of({"database": {"url": url}}, Origin("benchmark"), folder, environ={}, overridable=False)
    async with open_runtime(settings) as parts:
        await parts.store.migrate()
        await fill(parts.store, rows)
        desk = Desk(parts.store, parts.clock, parts.runner)
        service = Service(settings, ServeOptions(scheduler=False), parts.store, parts.clock, parts.jobs, desk)
        server = uvicorn.Server(uvicorn.Config(build_app(service), log_config=None, access_log=False))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            task = asyncio.create_task(server.serve([listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True
            await task


async def pages(session: aiohttp.ClientSession, url: str, rows: int) -> None:
    """Walk all rows by cursor; compare the first pages with the last ones."""
    took: list[float] = []
    cursor = ""
    while cursor is not None:
        begun = time.perf_counter()
        async with session.get(f"{url}/data?limit=1000{cursor and '&cursor=' + cursor}", headers=PLAIN) as answer:
            body = await answer.json()
        took.append(time.perf_counter() - begun)
        cursor = body["pagination"]["next_cursor"]
    first, last = sorted(took[1:11])[5], sorted(took[-11:-1])[5]
    print(
        f"{'pages of 1,000':>15}: {rows / sum(took):>9,.0f} rows/s  median of the first {first * 1e3:.1f} ms,", end=""
    )
    print(f" of the last {last * 1e3:.1f} ms (x{last / first:.2f})")


async def export(session: aiohttp.ClientSession, url: str, form: str, rows: int) -> None:
    """Take a whole result and forget it."""
    before, peak, lines, size = memory(), 0, 0, 0
    begun = time.perf_counter()
    async with session.get(f"{url}/data?format={form}", headers=PLAIN) as answer:
        async for chunk in answer.content.iter_chunked(1 << 16):
            lines += chunk.count(b"\n")
            size += len(chunk)
            peak = max(peak, memory())
    seconds = time.perf_counter() - begun
    if lines != rows + (form == "csv"):
        sys.exit(f"{form}: {lines} lines for {rows} rows")
    print(f"{form:>15}: {rows / seconds:>9,.0f} rows/s  {size / 1e6:.0f} MB, memory +{(peak - before) / 1e6:.1f} MB")


def memory() -> int:
    """The resident bytes of this process (Linux); elsewhere 0."""
    try:
        pages_in_use = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0
    return pages_in_use * os.sysconf("SC_PAGE_SIZE")


async def main(url: str, rows: int) -> None:
    """One line for each way of reading."""
    steps: list[Callable[[Any, str], Awaitable[None]]] = [
        lambda session, base: export(session, base, "ndjson", rows),
        lambda session, base: export(session, base, "csv", rows),
        lambda session, base: pages(session, base, rows),
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with serving(url, rows, Path(folder)) as base, aiohttp.ClientSession() as session:
            for step in steps:
                await step(session, base)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    asyncio.run(main(given.url, given.rows))
