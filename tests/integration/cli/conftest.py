"""The command line as a test calls it: in this process, or as a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[3] / "src"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command, empty, with an environment that sets nothing of ours."""
    monkeypatch.chdir(tmp_path)
    for name in [*os.environ]:
        if name.startswith("KASPARRO_") or name in {"DATABASE_URL", "API_KEY", "CSV_PATH", "LOG_LEVEL", "ENVIRONMENT"}:
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def kasparro(folder: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Call the command line in this process: `kasparro("run", "prices")`."""
    from kasparro_app.cli.exits import guarded
    from kasparro_app.cli.main import app

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            guarded(lambda: app(arguments, prog_name="kasparro"))
        said = capfd.readouterr()
        return Result(int(end.value.code or 0), said.out, said.err)

    handlers = list(logging.root.handlers)
    yield call
    for handler in [handler for handler in logging.root.handlers if handler not in handlers]:
        logging.root.removeHandler(handler)


@pytest.fixture
def process(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line as a process of its own; one that is still there at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(SRC)}
        command = [sys.executable, "-m", "kasparro_app", *arguments]
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()
