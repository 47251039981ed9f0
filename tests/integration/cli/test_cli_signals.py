"""Signals and pipes: the command line as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
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
