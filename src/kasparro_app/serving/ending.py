"""How a serving process ends: in order, but always in time.

signal ──▶ `stopping` is set, the server takes nothing new, runs are broken off, streams end ──▶ exit
   │ nothing is open yet, or another signal: exit at once        all is closed, or GRACE seconds are over: exit
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from types import FrameType

from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS

from kasparro_app.cli.exits import say

GRACE = 7.5
"""Seconds from the signal until everything is closed at the latest, whatever hangs."""

_LAST = 1.0
"""Seconds for the interpreter to end by itself once all is closed. It would wait for threads that look up a name."""

LONGEST_END = GRACE + _LAST
"""Seconds from the signal to the end of the process at the latest."""

FAILED = 1
_OK = 0


class Ending:
    """The end of this process. `stopping` is set when it begins; `error`: why it ends although nobody told it to."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.error: Exception | None = None
        self._open = False
        self._over = threading.Event()
        self._deaf_to: set[int] = set()
        self._begun = threading.Event()
        self._previous: dict[int, object] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def guard_start(self) -> None:
        """Until the server is up, a signal ends the process at once: nothing is under way. One that the starting shell
        has switched off (`nohup`, `&`) stays so."""
        self._deaf_to = {number for number in HANDLED_SIGNALS if signal.getsignal(number) is signal.SIG_IGN}
        for number in set(HANDLED_SIGNALS) - self._deaf_to:
            signal.signal(number, self._before)

    def guard(self) -> None:
        """From here on a signal sets `stopping`, is passed on to the server (whose handlers are in place), and starts
        the time. Called on the event loop of the main thread."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, name="kasparro-ending", daemon=True).start()
        for number in HANDLED_SIGNALS:
            self._previous[number] = signal.getsignal(number)
            signal.signal(number, signal.SIG_IGN if number in self._deaf_to else self._told)

    def opening(self) -> None:
        """From here on there is something to end in order. Before, a signal need not wait for libraries to load."""
        self._open = True

    def fail(self, error: Exception) -> None:
        """End the process because of a fault that will not pass."""
        self.error = error
        signal.raise_signal(signal.SIGTERM)

    def over(self) -> None:
        """Everything is closed: what the server raises again of the signals it got means nothing any more."""
        self._over.set()

    @property
    def code(self) -> int:
        """The exit code."""
        return _OK if self.error is None else FAILED

    def _before(self, _number: int, _frame: FrameType | None) -> None:
        if not self._over.is_set():
            os._exit(_OK)

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._begun.is_set() or not (self._open or self.error):
            os._exit(self.code)
        self._begun.set()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.stopping.set)
        previous = self._previous[number]
        if callable(previous):
            previous(number, frame)

    def _watch(self) -> None:
        self._begun.wait()
        if self._over.wait(GRACE):
            time.sleep(_LAST)
        os._exit(self.code)


class WorkerEnding(Ending):
    """The end of one of several worker processes. Its supervisor tells it by SIGTERM alone: what a terminal sends goes
    to all of them, and the supervisor passes it on."""

    def __init__(self) -> None:
        super().__init__()
        self._deaf_to = {signal.SIGINT}

    def over(self) -> None:
        """Let the supervisor know by the exit code that there is no use in another worker."""
        super().over()
        if self.error is not None:
            say(f"error: {self.error}")
            os._exit(self.code)

    @property
    def code(self) -> int:
        """What uvicorn's supervisor takes for a start that failed."""
        return super().code and STARTUP_FAILURE
