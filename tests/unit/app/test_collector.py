"""The program looks for garbage seldom; the library leaves that to whoever imports it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kasparro_app.collector import THRESHOLDS
from kasparro_app.service import ServeOptions
from kasparro_app.serving.supervisor import WorkerApp
from kasparro_app.settings import Settings

_PROGRAM = (
    "import gc, sys; sys.argv = ['kasparro', '--version']\ntry:\n    {start}\nfinally:\n    print(gc.get_threshold())"
)


def thresholds_after(start: str) -> str:
    """What a fresh process has, told on its last line."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(start=start)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_the_program_collects_seldom() -> None:
    """Whatever the verb is."""
    assert thresholds_after("from kasparro_app.__main__ import main; main()") == str(THRESHOLDS)


def test_the_library_changes_nothing() -> None:
    """An import is no reason to change how somebody's process collects."""
    assert thresholds_after("import kasparro_app.library") == str(gc.get_threshold())


def test_workers_collect_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that serves beside others begins elsewhere than the command line does."""
    monkeypatch.setattr(threading.Thread, "start", lambda _thread: None)
    before = gc.get_threshold()
    try:
        WorkerApp(Settings, ServeOptions(), Path())()
        assert gc.get_threshold() == THRESHOLDS
    finally:
        gc.set_threshold(*before)
