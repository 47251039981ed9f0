"""Signals and pipes: the command line as a process."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from upstream import Upstream, serving

CONFIG = """
[sources.slow]
type = "http"
url = "{url}"
allow_private_hosts = true
limit = {{ requests = 1000, per = "second" }}
paginate = {{ type = "page", param = "page", size_param = "per_page", size = 2 }}
[sources.slow.mapping]
key = "id"
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def waiting(folder: Path) -> Iterator[threading.Event]:
    """An API that answers its first page and lets the second wait; the event tells that it waits."""
    reached, go_on = threading.Event(), threading.Event()

    def hook(number: int) -> None:
        if number == 2:
            reached.set()
            go_on.wait(60)

    upstream = Upstream([{"id": number} for number in range(6)])
    upstream.hook = hook
    with serving(upstream):
        (folder / "kasparro.toml").write_text(CONFIG.format(url=upstream.url), encoding="utf-8")
        yield reached
        go_on.set()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither of the signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_cleanly(
    kasparro: Any, process: Start, waiting: threading.Event, sent: signal.Signals, code: int
) -> None:
    """The run is marked interrupted, the page that was read is kept, the exit code tells the signal, no traceback."""
    child = process("run")
    assert waiting.wait(60)
    child.send_signal(sent)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code, said
    assert "Traceback" not in said
    (run,) = json.loads(kasparro("runs", "--json").out)
    assert run["status"] == "interrupted"
    assert len(kasparro("export").out.splitlines()) == run["inserted"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither of the signals")
def test_a_second_signal_ends_the_process_at_once(
    kasparro: Any, process: Start, waiting: threading.Event, folder: Path
) -> None:
    """Even while the clean-up waits for a locked database, without a traceback; the dead run is marked by the next."""
    child = process("run")
    assert waiting.wait(60)
    with closing(sqlite3.connect(folder / "kasparro.db", isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)  # the clean-up alone would wait for 30 seconds
    assert child.returncode in {130, 143}, said
    assert "Traceback" not in said
    assert json.loads(kasparro("run", "--json").out)[0]["status"] == "succeeded"
    assert [run["status"] for run in json.loads(kasparro("runs", "--json").out)] == ["succeeded", "interrupted"]


def test_a_run_goes_on_when_nobody_reads_its_progress(kasparro: Any, process: Start, folder: Path) -> None:
    """A log pipe that breaks costs the lines, not the records."""
    (folder / "a.csv").write_text("id\n1\n2\n", encoding="utf-8")
    (folder / "kasparro.toml").write_text('[sources.a]\ntype = "csv"\npath = "a.csv"\n', encoding="utf-8")
    child = process("run")
    assert child.stderr is not None
    child.stderr.close()
    child.stderr = None
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert json.loads(kasparro("runs", "--json").out)[0]["inserted"] == 2


def test_a_closed_pipe_is_quiet(process: Start, folder: Path) -> None:
    """When the reader of standard output goes away, the command ends without a traceback."""
    rows = "".join(f"{number},{'x' * 200}\n" for number in range(3000))
    (folder / "a.csv").write_text("n,text\n" + rows, encoding="utf-8")
    child = process("preview", "a.csv", "--json")
    assert child.stdout is not None
    assert child.stdout.readline().startswith("{")
    child.stdout.close()
    child.stdout = None
    _, said = child.communicate(timeout=60)
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
    assert child.returncode == 1
