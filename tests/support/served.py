"""`kasparro serve` as a process of its own, and how a test talks with it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SRC = Path(__file__).parents[2] / "src"
PATIENCE = 40.0
_OURS = (
    "KASPARRO_",
    "DATABASE_URL",
    "API_KEY",
    "CSV_PATH",
    "ETL_",
    "CHAOS_MODE",
    "LOG_LEVEL",
    "ENVIRONMENT",
    "PROMETHEUS",
)
_LISTENS = re.compile(r"Kasparro listens on (http://\S+)")


@dataclass(frozen=True)
class Answered:
    """An answer; `body` is its JSON if it is any."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Served:
    """A serving process; `said` is what it has written to standard error so far."""

    child: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def wait_up(self) -> Served:
        """Wait for the address that it tells."""
        self.url = until(lambda: self._address(), "the address", self)
        return self

    def get(self, path: str) -> Answered:
        """One request; an answer that is an error is an answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return _answered(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return _answered(error.code, error.headers, error.read())

    def listens(self) -> bool:
        """Whether it still takes connections."""
        host, port = self.url.removeprefix("http://").split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal and wait for the end: the exit code, and how many seconds it took."""
        begun = time.monotonic()
        self.child.send_signal(number)
        code = self.child.wait(30)
        took = time.monotonic() - begun
        self._reader.join(5)
        return code, took

    def ended(self) -> int:
        """Wait for an end that comes by itself."""
        code = self.child.wait(PATIENCE)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        if self.child.stderr is not None:
            self.lines.extend(iter(self.child.stderr.readline, ""))

    def _address(self) -> str:
        found = _LISTENS.search(self.said)
        if found is None and self.child.poll() is not None:
            raise AssertionError(f"it ended with {self.child.returncode}: {self.said}")
        return found[1] if found else ""


def until(look: Callable[[], Any], what: str, served: Served | None = None, *, seconds: float = PATIENCE) -> Any:
    """Look again until something is found."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come in {seconds} s; {served.said[-3000:] if served else ''}")


@contextmanager
def starting() -> Iterator[Callable[..., Served]]:
    """Starts processes: `start(folder, "serve", "--port", "0")`, by another `program` if need be. Those that
    are left at the end are killed."""
    started: list[Served] = []

    def start(folder: Path, *arguments: str, program: tuple[str, str] = ("-m", "kasparro_app")) -> Served:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        child = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(SRC)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, as a terminal makes one
        )
        started.append(Served(child))
        return started[-1]

    yield start
    for served in started:
        if served.child.poll() is None:
            served.child.kill()
        served.child.wait()
        served._reader.join(5)
        if served.child.stderr is not None:
            served.child.stderr.close()


def _answered(status: int, headers: Any, body: bytes) -> Answered:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = body
    return Answered(status, {name.lower(): value for name, value in headers.items()}, parsed)
