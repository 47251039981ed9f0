"""How a step behaves when it meets a passing fault, or a cancellation half-way."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kasparro_core.errors import TransientStorageError
from kasparro_core.ports import Clock

T = TypeVar("T")

_ATTEMPTS = 5
_FIRST_WAIT = 0.1
_GROWTH = 3  # four seconds in all: a server that restarts is back by then


BRIEFLY = 10.0
"""Seconds within which somebody who waits for a beginning is worth another attempt: a fault that shows at once is
survived, and a database that has itself waited for a lock, 20 or 30 s, is not asked to do so five times."""


async def retried(clock: Clock, attempt: Callable[[], Awaitable[T]], *, within: float = math.inf) -> T:
    """Try a whole unit of work again while its fault may pass, and no more than `within` seconds have passed. Raises
    the last TransientStorageError."""
    wait, last = _FIRST_WAIT, clock.monotonic() + within
    for _ in range(_ATTEMPTS - 1):
        try:
            return await attempt()
        except TransientStorageError:
            if clock.monotonic() + wait > last:
                raise
            await clock.sleep(wait)
            wait *= _GROWTH
    return await attempt()


async def unbroken(work: Awaitable[T]) -> T:
    """Let a step come to its end although its caller is cancelled, as often as it may be; the cancellation takes effect
    afterwards, in place of the result. A failure of the step goes before the cancellation."""
    step = asyncio.ensure_future(work)
    stopped = await _ended(step)
    if stopped is None:
        return step.result()
    if (error := _failure(step)) is not None:
        raise error from stopped
    raise stopped


async def whole(work: Awaitable[T]) -> T:
    """Like `unbroken`, for a step whose outcome nobody needs once its caller is cancelled: what it did is undone
    anyway. Torn off half-way, it would leave behind what it holds: a connection with its lock, a thread with a file."""
    step = asyncio.ensure_future(work)
    stopped = await _ended(step)
    if stopped is None:
        return step.result()
    _failure(step)  # looked at, so that the event loop does not report it as forgotten
    raise stopped


async def _ended(step: asyncio.Future[T]) -> asyncio.CancelledError | None:
    """Wait for the end of a step, however often the caller is cancelled; the last cancellation, if there was one."""
    stopped: asyncio.CancelledError | None = None
    while not step.done():
        try:
            await asyncio.wait([step])
        except asyncio.CancelledError as cancelled:
            stopped = cancelled
    return stopped


def _failure(step: asyncio.Future[T]) -> BaseException | None:
    return None if step.cancelled() else step.exception()
