"""Whatever an upstream does, a run over it ends with the right code, whole pages and no secret; and catches up later.

KASPARRO_TEST_FAULT_SEEDS is how many seeds of each fault are tried (1).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fault_catalogue import FAULTS, SPEAKERS, Fault
from fault_server import SIZE, FaultServer, faulty_page, rows_of
from scripted import Told

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.http import AiohttpFetcher, HttpSource, HttpSourceConfig, JsonDecoder, guard
from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_app.cycle import run_cycle
from kasparro_app.jobs import job_of
from kasparro_core.model import Run, RunQuery
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner
from kasparro_core.testing.build import table

SEEDS = int(os.environ.get("KASPARRO_TEST_FAULT_SEEDS", "1"))
SECRET = "s3cr3t-of-the-matrix"
ATTEMPTS = 2
MAPPING = {"key": "id", "external_id": "id", "title": "name", "value": "price"}


class RecordingClock:
    """A clock on which every pause is over at once, and is written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._at = datetime(2026, 11, 21, 8, tzinfo=UTC)

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Bench:
    """A database, the fault server, and runs of sources that have the same rows behind one fault or another."""

    store: SqlStore
    server: FaultServer
    clock: RecordingClock
    told: Counter[str] = field(default_factory=Counter)

    async def run(self, name: str, url: str, **config: Any) -> Run:
        """One run with a fetcher of its own, which knows nothing of the failures before."""
        async with AiohttpFetcher(self.clock, draw=lambda: 0.5) as fetcher:
            (outcome,) = await run_cycle(self.runner(), [self.job(fetcher, name, url, **config)])
        assert outcome.run is not None, outcome.error
        return outcome.run

    def runner(self) -> Runner:
        """A process's runner."""
        handle = MemoryHandle(MemoryOwners())
        return Runner(self.store, handle, SystemClock(), {"json": JsonDecoder()}, Told())

    def job(self, fetcher: AiohttpFetcher, name: str, url: str, **config: Any) -> SourceJob:
        """A source of three pages whose requests carry a secret."""
        given = {
            "type": "http",
            "url": url,
            "auth": {"type": "api_key", "key": SECRET, "query": "apikey"},
            "kind": "quote",
            "mapping": MAPPING,
            "paginate": {"type": "page", "size": SIZE},
            "retry": {"attempts": ATTEMPTS},
            "allow_private_hosts": True,
            **config,
        }
        checked = HttpSourceConfig.model_validate(given)
        return job_of(checked, HttpSource(name, checked, fetcher, SystemClock()))

    async def keys(self, source: str) -> list[str]:
        """The keys of a source's records."""
        return sorted(await table(self.store, source))

    async def is_over(self, source: str) -> bool:
        """Whether the newest run of a source has ended."""
        async with self.store.begin(write=False) as work:
            runs = await work.runs.list(RunQuery(source=source, limit=1))
        return bool(runs) and runs[0].finished_at is not None

    async def payloads(self, source: str) -> list[list[dict[str, Any]]]:
        """The payloads that are stored of a source, in order."""
        async with self.store.begin(write=False) as work:
            reads = await work.runs.reads(source)
            stored = [await work.raw.get(read.raw_id) for read in reads if read.raw_id is not None]
        return [json.loads(each.raw.payload) for each in stored if each is not None]


@pytest.fixture
async def bench(sqlite_url: str) -> AsyncIterator[Bench]:
    """On SQLite, with all faults."""
    clock = RecordingClock()
    async with FaultServer(SPEAKERS, clock.now) as server:
        store = SqlStore(sqlite_url)
        yield Bench(store, server, clock)
        await store.close()


@pytest.fixture
def _alone_in_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 counts as public, and names under .invalid as unknown, without anybody being asked."""
    public, look_up = guard.is_public, socket.getaddrinfo

    def found(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.1" or public(address))
    monkeypatch.setattr(socket, "getaddrinfo", found)


@asynccontextmanager
async def address(bench: Bench, fault: Fault, seed: int) -> AsyncIterator[str]:
    """Where the fault is: on the server, at a port where nobody listens, or at a name that nobody knows."""
    if fault.name == "dns":
        yield bench.server.url(fault.name, seed, host=f"nowhere-{seed}.invalid")
        return
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = bench.server.url(fault.name, seed)
        yield url if fault.speak else url.replace(f":{bench.server.port}", f":{port}")


@pytest.mark.usefixtures("_alone_in_the_world")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_every_fault_has_its_code_and_leaves_whole_pages(bench: Bench, fault: Fault, sqlite_url: str) -> None:
    """The run fails with the fault's own code and a sentence that says where and why; what is committed are the pages
    before it, whole; it is tried again only where that may help; no secret is told; healed, the next run has all."""
    for seed in range(SEEDS):
        await _failed_as_it_has_to(bench, fault, seed)
        await _caught_up(bench, fault, seed)
    print(f"\n{fault.name}: {SEEDS} seeds, {dict(bench.told)}")  # noqa: T201 - what was counted is told
    assert sum(bench.told.values()) == SEEDS
    for file in Path(sqlite_url.removeprefix("sqlite:///")).parent.iterdir():
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


async def _failed_as_it_has_to(bench: Bench, fault: Fault, seed: int) -> None:
    name, slept = f"{fault.name}-{seed}", len(bench.clock.slept)
    private = {"allow_private_hosts": fault.name != "inwards"}
    async with address(bench, fault, seed) as url:
        run = await bench.run(name, url, **private, **fault.config)
    code, said = fault.code(seed), str(run.error)
    assert (run.status, run.error_code) == ("failed", code), said
    bench.told[code] += 1
    assert name in said
    assert "http://" in said
    assert SECRET not in said
    assert fault.says in said
    assert "[sources." not in fault.says or f"[sources.{name}]" in said
    committed = _pages_before(fault, seed)
    assert await bench.keys(name) == sorted(row["id"] for row in rows_of(fault.name, seed)[: committed * SIZE])
    assert [len(page) for page in await bench.payloads(name)] == [SIZE] * committed
    assert (run.counters.fetched, run.counters.inserted) == (committed * SIZE, committed * SIZE)
    _waited(bench, fault, seed, slept)


def _pages_before(fault: Fault, seed: int) -> int:
    """How many pages come before the fault: none where the host itself is not reached."""
    return faulty_page(fault.name, seed) - 1 if fault.speak else 0


def _waited(bench: Bench, fault: Fault, seed: int, slept: int) -> None:
    """What may pass was tried again after a pause, never a shorter one than was asked for."""
    pauses = bench.clock.slept[slept:]
    passes = fault.passes or fault.code(seed) == "incomplete_body"
    assert len(pauses) == (ATTEMPTS - 1 if passes else 0)
    asked = bench.server.waits.get((fault.name, seed), [])
    assert all(pause >= least for pause, least in zip(pauses, asked, strict=False))


async def _caught_up(bench: Bench, fault: Fault, seed: int) -> None:
    bench.server.heal(fault.name, seed)
    run = await bench.run(f"{fault.name}-{seed}", bench.server.url(fault.name, seed))
    assert run.status == "succeeded", run.error
    assert await bench.keys(f"{fault.name}-{seed}") == sorted(row["id"] for row in rows_of(fault.name, seed))
    assert run.counters.inserted == len(rows_of(fault.name, seed)) - _pages_before(fault, seed) * SIZE


async def test_a_neighbour_that_hangs_holds_nobody_up(bench: Bench) -> None:
    """Of two sources in one cycle one gets no answer: the other one is done before that ends."""
    answered = asyncio.Event()

    async def held(talk: Any) -> None:
        await answered.wait()
        await talk.answer("404 Not Found")

    bench.server.faults = {"held": held}
    async with AiohttpFetcher(SystemClock()) as fetcher:
        jobs = [bench.job(fetcher, name, bench.server.url(name, 1)) for name in ("held", "well")]
        cycle = asyncio.create_task(run_cycle(bench.runner(), jobs))
        while not await bench.is_over("well"):
            await asyncio.sleep(0.01)
        assert not cycle.done()
        answered.set()
        held_up, well = await cycle
    assert (held_up.run.error_code, well.run.status) == ("http_404", "succeeded")
    assert well.run.finished_at <= held_up.run.finished_at


@pytest.mark.parametrize("depth", [60, 500, 900, 960, 975, 985, 995])
async def test_what_is_deep_but_can_be_read_is_no_crash(bench: Bench, depth: int) -> None:
    """Up to the bound of the decoder and around it: the items are kept, or refused with a reason; the run never ends by
    a bug."""
    nested = b"[" * depth + b"]" * depth

    async def deep(talk: Any) -> None:
        await talk.answer("200 OK", b'[{"id":"x","name":"deep","price":1,"deep":' + nested + b"}]")

    name = next(f"deep{n}" for n in range(100) if faulty_page(f"deep{n}", 0) == 1)
    bench.server.faults = {name: deep}
    run = await bench.run(name, bench.server.url(name, 0), kind="item", mapping={"key": "id"})
    assert run.error_code in (None, "json_depth")
    assert run.counters.fetched == (0 if run.error_code else 1)
