"""What the storms read: an upstream of small pages on loopback, and `kasparro` as a child that reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import query
from oracle import Truth, pages_behind, wrong
from served import Answered
from snapshot import look
from upstream import Upstream, serving

SRC = Path(__file__).parents[2] / "src"
CHILD = Path(__file__).with_name("storm_child.py")

PAGE = 20
PAGES = 8
ROWS = [{"id": f"coin-{n}", "price": f"{n}.5", "name": f"Coin {n}"} for n in range(PAGE * PAGES - 5)]

_CONFIG = """
[database]
url = {database}

[sources.market]
type = "http"
url = "{url}"
kind = "quote"
schedule = "manual"
allow_private_hosts = true
limit = {{ requests = 1000, per = "second" }}
paginate = {{ type = "page", param = "page", size_param = "per_page", size = {page} }}
[sources.market.mapping]
key = "id"
title = "name"
value = "price"
"""


class Shown(Upstream):
    """An upstream that knows how many ask it at the same time; whoever waits in the hook is one of them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(rows)
        self._asking = 0
        self.most_at_once = 0

    def answer(self, address: str) -> tuple[str, bytes, int]:
        """What is sent for a path with its query."""
        self._asking += 1
        self.most_at_once = max(self.most_at_once, self._asking)
        try:
            return super().answer(address)
        finally:
            self._asking -= 1


@dataclass
class Market:
    """A folder with a configuration of one source, `market`, that is served by `upstream`."""

    folder: Path
    database: str
    upstream: Shown
    truth: Truth
    before: list[str] = field(default_factory=list)
    """What stands in front of every command line."""
    looked_at: str = ""
    """Where the oracle looks, if the database lies where it cannot."""
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *arguments: str, **patience: float) -> list[str]:
        """The command line of the program, with other patience than its own where any is given."""
        program = [str(CHILD), json.dumps(patience)] if patience else ["-m", "kasparro_app"]
        return [sys.executable, *program, *arguments]

    def start(self, *arguments: str, before: list[str] | None = None, **patience: float) -> subprocess.Popen[str]:
        """Start the program (`run --json` unless told otherwise); `before` stands in front of its command line."""
        child = subprocess.Popen(
            [*self.before, *(before or []), *self.command(*(arguments or ("run", "--json")), **patience)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(SRC)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        return child

    def run(self, **patience: float) -> Ended:
        """A run that nobody disturbs, to its end."""
        return ended(self.start(**patience))

    def faults(self) -> list[str]:
        """What is wrong in the database, once nothing runs any more and the last run has come to its end."""
        return wrong(look(self.looked_at or self.database, payloads=True), [self.truth], ended=True)

    def faults_on_the_way(self) -> list[str]:
        """What is wrong in the database at any moment."""
        return wrong(look(self.looked_at or self.database, payloads=True), [self.truth], patience=None)

    def runs(self) -> list[tuple[int, str, int | None]]:
        """The ledger: run_id, status, resumes."""
        return [
            (row[0], row[1], row[2])
            for row in query(self.database, "SELECT run_id, status, resumes FROM runs ORDER BY run_id")
        ]


@dataclass(frozen=True)
class Ended:
    """How a child ended. `outcomes` is the JSON that it printed, by source."""

    code: int
    out: str
    err: str

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        """What `run --json` says of each source."""
        return {view["source"]: view for view in json.loads(self.out)}


def ended(child: subprocess.Popen[str], seconds: float = 100.0) -> Ended:
    """Wait for the end of a child. It never ends with a traceback."""
    out, err = child.communicate(timeout=seconds)
    assert "Traceback" not in err, err
    return Ended(child.returncode, out, err)


def post(url: str) -> Answered:
    """One POST; an answer that is an error is an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=60) as answer:
            return Answered(answer.status, dict(answer.headers), json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return Answered(error.code, dict(error.headers), json.loads(error.read()))


@contextmanager
def market(folder: Path, database: str, rows: list[dict[str, Any]] | None = None, page: int = PAGE) -> Iterator[Market]:
    """Serve the rows and write the configuration; children that are left at the end are killed."""
    served = ROWS if rows is None else rows
    upstream = Shown(served)
    with serving(upstream):
        text = _CONFIG.format(database=json.dumps(database), url=upstream.url, page=page)
        folder.mkdir(exist_ok=True)
        (folder / "kasparro.toml").write_text(text, encoding="utf-8")
        keys = [str(row["id"]) for row in served]
        truth = Truth("market", keys, pages_behind(len(keys), page), _keys_in, served=upstream.bodies)
        made = Market(folder, database, upstream, truth)
        try:
            yield made
        finally:
            upstream.hook = lambda number: None
            for child in made.children:
                if child.poll() is None:
                    child.kill()
                child.communicate()


def _keys_in(payload: bytes) -> list[str]:
    return [str(row["id"]) for row in json.loads(payload)]
