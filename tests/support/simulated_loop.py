"""An event loop without a machine below it: time is virtual, and one seed decides which process moves next.

Every simulated process has its own line of callbacks, kept in the order in which they were asked for, as its own event
loop would keep them. Which line moves next is drawn. A line that is stopped moves no more: that is what a SIGSTOP is,
and, for ever, a SIGKILL. When no line can move the time jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any


class StalledError(Exception):
    """Nothing can ever move again, and the simulation is not at its end."""


class Line:
    """What one process has still to do, in order. `fuse`: after so many further steps `burnt` is called."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.ready: deque[asyncio.Handle] = deque()
        self.stopped = False
        self.weight = 1.0
        self.fuse = -1
        self.burnt: Callable[[], None] = lambda: None


LINE: ContextVar[Line] = ContextVar("line")


class _Lines:
    """Stands where an event loop has its one queue."""

    def __init__(self, outside: Line) -> None:
        self.all = [outside]

    def append(self, handle: asyncio.Handle) -> None:
        line = handle._context.get(LINE, None)  # type: ignore[attr-defined]
        (self.all[0] if line is None else line).ready.append(handle)

    def clear(self) -> None:
        for line in self.all:
            line.ready.clear()

    def __len__(self) -> int:
        return sum(len(line.ready) for line in self.all)


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks are walked through in the same order each time."""

    def __init__(self, number: int, coro: Any, loop: SimulatedLoop, options: dict[str, Any]) -> None:
        self.number = number
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs callbacks of many lines; `work_time` gives the duration of what is sent to a worker thread, in seconds."""

    def __init__(self, chance: random.Random, work_time: Callable[[], float]) -> None:
        super().__init__()
        self._chance = chance
        self._work_time = work_time
        self._now = 0.0
        self._lines = self._ready = _Lines(Line(0, "outside"))
        self._tasks_made = 0
        self.steps = 0
        self.hash = 0
        self.faults: list[str] = []
        self.set_task_factory(self._task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._now

    def line(self, name: str) -> Line:
        """A new process's line."""
        line = Line(len(self._lines.all), name)
        self._lines.all.append(line)
        return line

    def revive(self) -> None:
        """Let all lines move: for the end, when nothing that they do matters any more."""
        for line in self._lines.all:
            line.stopped, line.fuse = False, -1

    def spawn(self, line: Line, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of a process."""
        context = copy_context()
        context.run(LINE.set, line)
        return self.create_task(coro, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """The work is done in one go, when its time is over."""
        future = self.create_future()
        self.call_later(self._work_time(), self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            future.set_exception(error)

    def _task(self, loop: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self._tasks_made += 1
        return _Task(self._tasks_made, coro, self, options)

    def _note(self, loop: Any, context: dict[str, Any]) -> None:
        self.faults.append(f"{context['message']}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        """One callback of one line, or a jump of the time."""
        self._wake()
        movable = [line for line in self._lines.all if line.ready and not line.stopped]
        if not movable:
            self._jump()
            return
        line = movable[0] if len(movable) == 1 else self._drawn(movable)
        handle = line.ready.popleft()
        if handle._cancelled:
            return
        self.steps += 1
        self.hash = hash((self.hash, line.number, self._now))
        handle._run()  # type: ignore[attr-defined]
        if line.fuse > 0:
            line.fuse -= 1
            if line.fuse == 0:
                line.burnt()

    def _drawn(self, movable: list[Line]) -> Line:
        return self._chance.choices(movable, [line.weight for line in movable])[0]

    def _wake(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and (timers[0]._cancelled or timers[0]._when <= self._now):
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer._cancelled:
                self._ready.append(timer)

    def _jump(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        if not timers:
            raise StalledError(f"after {self._now:.3f} s nothing moves any more")
        self._now = timers[0]._when

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """A cancelled timer is dropped when its time comes."""

    def _process_events(self, event_list: Any) -> None:
        """There are no files and no sockets."""

    def _write_to_self(self) -> None:
        """There is nothing to wake up from."""
