"""The figures of the HTTP side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OBSERVE = "from kasparro_app.api import http_metrics; http_metrics.observe('/data', 'GET', 200, 0.01)"
RENDER = "from kasparro_app.api import http_metrics; print(http_metrics.render().decode())"
SOURCES = Path(__file__).parents[3] / "src"


def python(code: str, directory: Path) -> str:
    """What a worker process with this directory prints."""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory), "PYTHONPATH": str(SOURCES)}
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True).stdout


def test_workers_are_counted_together(tmp_path: Path) -> None:
    """What two worker processes counted, one after the other dead, is one sum in a third."""
    python(OBSERVE, tmp_path)
    python(f"{OBSERVE}; {OBSERVE}", tmp_path)
    text = python(RENDER, tmp_path)
    assert 'http_requests_total{method="GET",route="/data",status="200"} 3.0' in text
    assert 'http_request_duration_seconds_count{route="/data"} 3.0' in text


def test_promtool_finds_nothing(tmp_path: Path) -> None:
    """The figures pass Prometheus's own check of names, types and help."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH")
    for text in (python(f"{OBSERVE}; {RENDER}", tmp_path), in_one_process()):
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def in_one_process() -> str:
    """The figures of a process that shares nothing."""
    environ = {**os.environ, "PYTHONPATH": str(SOURCES)}
    environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    command = [sys.executable, "-c", f"{OBSERVE}; {RENDER}"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
