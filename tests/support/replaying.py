"""The replay server of the recorded market data, as a child process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaying(tool: Path, data: Path, *options: str) -> Iterator[str]:
    """The base URL of a server that answers; it ends with the block, whatever happens in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(tool), f"--data={data}", f"--port={port}", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}"
        _wait(base, process)
        yield base
    finally:
        process.terminate()
        process.wait()


def _wait(base: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until it answers; polling another process for its port, nothing is asserted about the time."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/api/v3/ping", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the replay server did not start")
