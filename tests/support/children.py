"""`kasparro` as a child process in a folder, with one database, to be killed at a moment that a test chooses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from walked import Walked

PATIENCE = 90.0
_OURS = ("KASPARRO_", "DATABASE_URL", "API_KEY", "CSV_PATH", "ETL_", "CHAOS_MODE", "LOG_LEVEL", "ENVIRONMENT")


class Folder:
    """A folder with a configuration, and the database that its runs write to."""

    def __init__(self, directory: Path, database: str, config: str) -> None:
        self.directory = directory
        self.database = database
        (directory / "kasparro.toml").write_text(config, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A child that does one verb."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return subprocess.Popen(
            [sys.executable, "-m", "kasparro_app", *arguments],
            cwd=self.directory,
            env={**kept, "DATABASE_URL": self.database},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *sources: str, code: int = 0) -> dict[str, dict[str, Any]]:
        """`kasparro run` to its end: the outcomes by source."""
        child = self.start("run", "--json", *sources)
        out, err = child.communicate(timeout=PATIENCE)
        assert child.returncode == code, (out, err)
        return {each["source"]: each for each in json.loads(out)}

    def killed_in(self, walked: Walked, *held: tuple[str, int], once: Callable[[], bool] = lambda: True) -> None:
        """A run that is killed while it waits for the answers to these requests, as soon as it has asked for all
        of them and `once` holds. Fails where that never comes."""
        released = threading.Event()

        def hook(kind: str, index: int) -> None:
            if (kind, index) in held:
                released.wait(PATIENCE)

        walked.hook = hook
        self.killed_when(lambda: set(held) <= set(walked.asked) and once())
        walked.hook = lambda kind, index: None
        released.set()

    def killed_when(self, seen: Callable[[], bool]) -> None:
        """A run that is killed as soon as another process sees something. Fails where it ends before."""
        child = self.start("run")
        deadline = time.monotonic() + PATIENCE
        while child.poll() is None and not seen() and time.monotonic() < deadline:
            time.sleep(0.002)
        child.kill()
        out, err = child.communicate(timeout=PATIENCE)
        assert child.returncode == -signal.SIGKILL, f"the kill did not fire: {out}{err}"
