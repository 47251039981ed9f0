"""How the command line ends: exit codes, signals, and errors as sentences on standard error."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from kasparro_core.errors import ConfigurationError, KasparroError

OK = 0
FAILED = 1
USAGE = 2
DEGRADED = 3
INTERRUPTED = 130
TERMINATED = 143

T = TypeVar("T")


class _TerminatedError(Exception):
    """SIGTERM came and everything has been cancelled and awaited."""


def guarded(app: Callable[[], object]) -> NoReturn:
    """Run the command line and leave the process with its exit code. Errors are sentences, never tracebacks."""
    _speak_utf8()
    try:
        code = _code_of(app)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _quiet_pipe()
    sys.exit(code)


def _speak_utf8() -> None:
    """Data goes out as UTF-8 whatever the locale says; a terminal that lacks a sign gets its number."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _code_of(app: Callable[[], object]) -> int:
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else OK
    except ConfigurationError as error:
        show_error(error)
        return USAGE
    except KasparroError as error:
        show_error(error)
        return FAILED
    return OK


def _quiet_pipe() -> int:
    """The reader of standard output has gone: nothing more to say, not even while the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def show_error(error: KasparroError) -> None:
    """The error, each of its problems, and its hint."""
    say(f"error: {error.message}")
    for problem in error.problems if isinstance(error, ConfigurationError) else ():
        say(f"  {problem}")
    if error.hint:
        say(f"  {error.hint}")


def say(sentence: str) -> None:
    """One line on standard error."""
    print(sentence, file=sys.stderr, flush=True)


def leave(code: int) -> None:
    """End the command with a code; 0 simply goes on."""
    if code:
        raise typer.Exit(code)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. SIGINT and SIGTERM cancel the work, wait until it has cleaned up, and end with 130 and 143."""
    try:
        return asyncio.run(_heeding_sigterm(work))
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except _TerminatedError:
        say("terminated")
        raise typer.Exit(TERMINATED) from None


async def _heeding_sigterm(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work)
    told: list[int] = []

    def stop() -> None:
        told.append(signal.SIGTERM)
        task.cancel()

    _on_sigterm(stop)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            raise _TerminatedError from None
        raise


def _on_sigterm(stop: Callable[[], None]) -> None:
    if sys.platform != "win32":  # its event loop knows no signal handlers, and its processes no SIGTERM
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
