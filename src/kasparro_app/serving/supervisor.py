"""Several processes that serve one socket, and the one that looks after them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from kasparro_app.collector import collect_seldom
from kasparro_app.service import ServeOptions
from kasparro_app.serving.ending import LONGEST_END, Ending, WorkerEnding
from kasparro_app.serving.front import Front
from kasparro_app.serving.worker import server_config
from kasparro_app.settings import Settings, hand_down
from kasparro_core.errors import KasparroError

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

_LAST = 0.5
"""Seconds for the main thread to end by itself once all workers have."""


@dataclass(frozen=True, slots=True)
class WorkerApp:
    """Makes the application of one worker, in that worker. Settings are read there; `runtime` is the directory that
    the workers share."""

    load: Callable[[], Settings]
    options: ServeOptions
    runtime: Path

    def __call__(self) -> Front:
        """A fault that will not pass ends this process, and so its supervisor."""
        collect_seldom()
        threading.Thread(target=_end_with_parent, name="kasparro-parent", daemon=True).start()
        ending = WorkerEnding()
        return Front(partial(self._build, ending), ending)

    def _build(self, ending: Ending) -> Starlette:
        from kasparro_app.serving.assembly import application

        return application(self.load(), self.options, ending, runtime=self.runtime)


def serve_together(load: Callable[[], Settings], options: ServeOptions, listening: socket.socket) -> None:
    """Serve by `options.workers` processes until this one is told to end. Raises KasparroError when they cannot.

    The directory that they share (figures about requests, the rate limit) is there before the first of them starts,
    and goes with the last.
    """
    with tempfile.TemporaryDirectory(prefix="kasparro-", ignore_cleanup_errors=True) as directory:
        runtime = Path(directory)
        figures = runtime / "metrics"
        figures.mkdir()
        hand_down(METRICS_DIRECTORY, str(figures))
        app = WorkerApp(load, options, runtime)
        supervisor = _Supervisor(server_config(app, workers=options.workers), [listening])
        supervisor.run()
        if supervisor.failed:
            raise KasparroError("The service could not be started.", code="serve", hint="The lines above say why.")


class _Supervisor(Multiprocess):
    """uvicorn's, which ends in time, and at a second signal at once together with its workers."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._begun = threading.Event()
        self._ending: set[Process] = set()
        self._turn = threading.Lock()
        threading.Thread(target=self._end, name="kasparro-ending", daemon=True).start()
        for number in HANDLED_SIGNALS:
            signal.signal(number, self._told)

    def init_processes(self) -> None:
        """Start the workers so that they ignore Ctrl-C from their first moment: a terminal sends it to them too."""
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            super().init_processes()
        finally:
            signal.signal(signal.SIGINT, handler)

    @property
    def failed(self) -> bool:
        """Whether a worker could not start."""
        return any(worker.exitcode == STARTUP_FAILURE for worker in self.processes)

    def terminate_all(self) -> None:
        """Tell each worker to end, once: a second signal would end it at once."""
        with self._turn:
            for worker in set(self.processes) - self._ending:
                self._ending.add(worker)
                _tell(worker)

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        if self._begun.is_set():
            self._kill()
        self._begun.set()

    def _end(self) -> None:
        """The main thread may be waiting long for a sign of life of a worker that is gone: it is not needed for this.
        If it does not wait, it is faster."""
        self._begun.wait()
        deadline = time.monotonic() + LONGEST_END
        self.should_exit.set()
        self.terminate_all()
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
        time.sleep(_LAST)
        self._kill()

    def _kill(self) -> None:
        for worker in self.processes:
            worker.process.kill()
        os._exit(0)


def _tell(worker: Process) -> None:
    """The connection stays open: without it uvicorn would take a worker that is ending for one that hangs."""
    if os.name == "nt":
        worker.terminate()  # there it is the only way that is not a kill
    else:
        worker.process.terminate()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        signal.raise_signal(signal.SIGTERM)
