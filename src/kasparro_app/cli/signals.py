"""SIGINT and SIGTERM: the first lets the work clean up, the second ends the process where it stands."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeVar

from kasparro_core.errors import KasparroError

INTERRUPTED = 130
TERMINATED = 143

_SHOW_CURSOR = "\x1b[?25h"
_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
Handler = Callable[[int, FrameType | None], None]
T = TypeVar("T")


class StoppedError(Exception):
    """A signal came, and everything has been cancelled and awaited. `code` is the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted" if number == signal.SIGINT else "terminated")
        self.code = _CODES[signal.Signals(number)]


async def stoppable(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. Raises StoppedError, from the error of the clean-up if there was one."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if len(told) > 1:
            _leave_at_once(number)
        loop.call_soon_threadsafe(task.cancel)

    with _handled_by(stop):
        try:
            return await task
        except (asyncio.CancelledError, KasparroError) as error:
            if not told:
                raise
            raise StoppedError(told[0]) from (error if isinstance(error, KasparroError) else None)


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Both signals go to the handler; one that the starting shell has switched off (`nohup`, `&`) stays so."""
    before = {number: signal.getsignal(number) for number in _CODES}
    heeded = [number for number, handling in before.items() if handling is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def _leave_at_once(number: int) -> NoReturn:
    """End without any clean-up, as if killed: the next run finds the owner dead and takes over."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())
    os._exit(_CODES[signal.Signals(number)])
