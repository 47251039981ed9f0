"""What the crash tests run: three sources on loopback and in files, and `kasparro run` over them, again and again.

The sources are an API of pages, a CSV file and a feed. A `World` is one database with its directory; a `Runs` starts
the program in it by `crash_zygote.py`, kills it, and says how it ended.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from oracle import Truth, all_behind, lines_behind, pages_behind
from served import _OURS
from upstream import Upstream

ZYGOTE = Path(__file__).with_name("crash_zygote.py")

CONFIG = """
[database]
url = {database}

[sources.market]
type = "http"
url = "{url}{path}"
kind = "quote"
allow_private_hosts = true
paginate = {{ {paging}, size_param = "per_page", size = {page} }}{records}
mapping = {{ key = "id", external_id = "id", value = "price" }}

[sources.rows]
type = "csv"
path = "rows.csv"
batch_rows = {batch}
max_rejected = 1.0
fail_rejected = 1.0
mapping = {{ key = "id", value = "price", required = ["value"] }}

[sources.news]
type = "feed"
url = "{url}/feed"
allow_private_hosts = true
"""

BULK = """
[sources.bulk]
type = "http"
url = "{url}/bulk"
kind = "quote"
allow_private_hosts = true
mapping = {{ key = "id", value = "price" }}
"""

PAGINGS = {
    "page": ("/items", 'type = "page", param = "page"', ""),
    "offset": ("/items", 'type = "offset", param = "offset"', ""),
    "cursor": ("/tokens", 'type = "cursor", param = "token", path = "next"', '\nrecords = "items"'),
}
"""How the pages are asked for: the path, and the configuration."""


@dataclass(frozen=True)
class Size:
    """How much the sources hold: pages of so many items, batches of so many rows, entries of the feed; `bulk`: a fourth
    source, which is then read alone, has so many items in one payload."""

    pages: int
    page: int
    batches: int
    batch: int
    entries: int
    bulk: int = 0


SMALL = Size(pages=3, page=12, batches=3, batch=10, entries=8)
"""Three batches a source: few enough system calls to stop at each."""
WIDE = Size(pages=15, page=40, batches=25, batch=40, entries=60)
"""Long enough for a random instant to fall anywhere."""
HEAVY = Size(pages=1, page=2, batches=1, batch=10, entries=1, bulk=25_000)
"""A payload that is committed in slices."""


@dataclass
class World:
    """A database, the directory that the program runs in, what its sources hold, and how pages are asked for."""

    directory: Path
    url: str
    upstream: Upstream
    size: Size
    paging: str = "page"

    def __post_init__(self) -> None:
        address = self.upstream.url.removesuffix("/items")
        size = self.size
        path, paging, records = PAGINGS[self.paging]
        config = CONFIG.format(
            database=json.dumps(self.url),
            url=address,
            path=path,
            paging=paging,
            records=records,
            page=size.page,
            batch=size.batch,
        )
        config += BULK.format(url=address) if size.bulk else ""
        (self.directory / "kasparro.toml").write_text(config, encoding="utf-8")
        (self.directory / "rows.csv").write_bytes(_csv(size))

    @property
    def truths(self) -> list[Truth]:
        """What the oracle compares with."""
        csv, size = _csv(self.size), self.size
        rows, entries = size.batches * size.batch, size.entries
        market = [str(row["id"]) for row in _rows(size)]
        sent = self.upstream.bodies
        refused = frozenset(f"row-{n}" for n in range(rows) if _refused(n))
        truths = [
            Truth("market", market, pages_behind(len(market), size.page, self.paging), _json_keys, served=sent),
            Truth("rows", [f"row-{n}" for n in range(rows)], lines_behind(csv), _csv_keys, refused),
            Truth("news", [f"entry-{n}" for n in range(entries)], all_behind(entries), _feed_keys, served=sent),
        ]
        if size.bulk:
            bulk = [f"item-{n}" for n in range(size.bulk)]
            truths.append(Truth("bulk", bulk, all_behind(size.bulk), _json_keys, served=sent))
        return [truth for truth in truths if truth.source in self.sources]

    @property
    def sources(self) -> tuple[str, ...]:
        """What a run reads: the heavy payload alone, or all three."""
        return ("bulk",) if self.size.bulk else ("market", "rows", "news")

    @property
    def run(self) -> tuple[str, ...]:
        """The arguments of a run over them."""
        return ("run", *self.sources, "--json")

    def owners_left(self) -> list[str]:
        """The files of owners beside a SQLite database: none, once all have ended or were swept up."""
        return [path.name for path in self.directory.glob("*.owners/*")]


class Place(Protocol):
    """Makes a world in place of the last one. Its database has the tables and nothing in them; or it has none yet, as
    on somebody's first run."""

    def __call__(self, size: Size, paging: str = "page", /, *, tables: bool = True) -> World: ...


def upstream_of(size: Size) -> Upstream:
    """A server of these sources' pages and feed."""
    bulk = [{"id": f"item-{n}", "price": f"{n}.125"} for n in range(size.bulk)]
    documents = {
        "/feed": ("application/rss+xml", _feed(size)),
        "/bulk": ("application/json", json.dumps(bulk).encode()),
    }
    return Upstream(_rows(size), documents)


@dataclass
class Ended:
    """How a process ended: `code` as subprocess gives it (negative: the signal), and what it said."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclass
class Started:
    """A process that waits to be let go. Its `pid` may be traced and killed until `ended` was called."""

    runs: Runs
    pid: int
    said: tuple[Path, Path]
    _over: Ended | None = field(default=None)

    def go(self) -> Self:
        self.runs.tell("go")
        return self

    def kill(self) -> None:
        """SIGKILL, which nothing can catch; nothing where it has ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for its end."""
        return self.runs.heard_within(seconds)

    def ended(self) -> Ended:
        """Wait for its end."""
        if self._over is None:
            code = os.waitstatus_to_exitcode(self.runs.hear()["status"])
            self._over = Ended(code, *(path.read_text(encoding="utf-8", errors="replace") for path in self.said))
        return self._over


class Runs:
    """Starts the program, one process after the other."""

    def __init__(self, zygote: subprocess.Popen[str]) -> None:
        self._zygote = zygote

    def start(self, world: World, *arguments: str) -> Started:
        """A process that has everything imported and waits for `go`."""
        said = world.directory / "out.txt", world.directory / "err.txt"
        for path in said:
            path.write_bytes(b"")
        order = {"argv": arguments, "cwd": str(world.directory), "out": str(said[0]), "err": str(said[1])}
        self.tell(json.dumps(order))
        return Started(self, self.hear()["pid"], said)

    def finish(self, world: World) -> Ended:
        """A run over all sources that nobody disturbs."""
        return self.start(world, *world.run).go().ended()

    def tell(self, line: str) -> None:
        if self._zygote.stdin is not None:
            self._zygote.stdin.write(line + "\n")
            self._zygote.stdin.flush()

    def heard_within(self, seconds: float) -> bool:
        """Wait so long for an answer, without reading it."""
        return bool(select.select([self._zygote.stdout], [], [], seconds)[0])

    def hear(self) -> dict[str, Any]:
        line = self._zygote.stdout.readline() if self._zygote.stdout is not None else ""
        if not line:
            raise AssertionError(f"the process that forks the runs has ended with {self._zygote.wait()}")
        return dict(json.loads(line))


@contextmanager
def runs() -> Iterator[Runs]:
    """The starter of processes, for the time of a block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(ZYGOTE)], stdin=pipe, stdout=pipe, text=True, env=kept) as zygote:
        yield Runs(zygote)
        if zygote.stdin is not None:
            zygote.stdin.close()  # its end


def _rows(size: Size) -> list[dict[str, Any]]:
    """The last page is half full, so that a walk ends with it."""
    return [{"id": f"coin-{n}", "price": f"{n}.5"} for n in range(size.pages * size.page - size.page // 2)]


def _refused(number: int) -> bool:
    """Every nineteenth row has a price that is no number."""
    return number % 19 == 7


def _csv(size: Size) -> bytes:
    rows = range(size.batches * size.batch)
    lines = ["id,price", *(f"row-{n},{'unknown' if _refused(n) else f'{n}.25'}" for n in rows)]
    return ("\n".join(lines) + "\n").encode()


def _feed(size: Size) -> bytes:
    entries = "".join(
        f"<item><guid isPermaLink='false'>entry-{n}</guid><title>Entry {n}</title>"
        f"<pubDate>Mon, 01 Jan 2024 00:{n // 60:02d}:{n % 60:02d} GMT</pubDate></item>"
        for n in range(size.entries)
    )
    head = "<title>News</title><link>http://localhost/</link><description>All of it</description>"
    return f"<?xml version='1.0'?><rss version='2.0'><channel>{head}{entries}</channel></rss>".encode()


def _json_keys(payload: bytes) -> Sequence[str]:
    page = json.loads(payload)
    return [row["id"] for row in (page["items"] if isinstance(page, dict) else page)]


def _csv_keys(payload: bytes) -> Sequence[str]:
    return [line.split(",")[0] for line in payload.decode().splitlines() if not line.startswith("id,")]


def _feed_keys(payload: bytes) -> Sequence[str]:
    return re.findall(r"<guid[^>]*>([^<]*)<", payload.decode())
