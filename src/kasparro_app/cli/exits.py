"""How the command line ends: exit codes, broken pipes, and errors as sentences on standard error."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

import typer

from kasparro_app.cli.signals import INTERRUPTED, StoppedError, stoppable
from kasparro_core.errors import ConfigurationError, KasparroError

OK = 0
FAILED = 1
USAGE = 2
DEGRADED = 3

T = TypeVar("T")
_log = logging.getLogger("kasparro")


def guarded(app: Callable[[], object]) -> NoReturn:
    """Run the command line and leave the process with its exit code. Errors are sentences, never tracebacks."""
    _open_streams()
    _speak_utf8()
    try:
        code = _code_of(app)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _silenced(sys.stdout)
    except OSError as error:
        say(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        code = _silenced(sys.stdout)
    sys.exit(code)


def _open_streams() -> None:
    """A stream that the caller has closed (`>&-`) swallows what is written to it."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


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
    except OSError:
        raise
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("kasparro"):
            raise
        say(f"error: the library {missing.name} is not installed. Run: pip install 'kasparro[all]'")
        return FAILED
    except Exception as bug:  # noqa: BLE001 - the outermost edge: people are told in a sentence, the log has the rest
        _log.debug("a bug", exc_info=bug)
        first = next(iter(str(bug).splitlines()), "")
        say(f"error: internal: {type(bug).__name__}: {first}")
        say("  This is a bug of Kasparro; KASPARRO_LOG__LEVEL=debug shows where it happened.")
        return FAILED
    return OK


def _silenced(stream: TextIO) -> int:
    """Nothing more can be said there, not even while the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return FAILED


def show_error(error: KasparroError) -> None:
    """The error, each of its problems, and its hint."""
    say(f"error: {error.message}")
    for problem in error.problems if isinstance(error, ConfigurationError) else ():
        say(f"  {problem}")
    if error.hint:
        say(f"  {error.hint}")


def say(sentence: str) -> None:
    """One line on standard error. Work goes on when nobody reads it any more."""
    try:
        print(sentence, file=sys.stderr, flush=True)
    except OSError:
        _silenced(sys.stderr)


def leave(code: int) -> None:
    """End the command with a code; 0 simply goes on."""
    if code:
        raise typer.Exit(code)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. SIGINT and SIGTERM cancel the work, wait until it has cleaned up, and end with 130 and 143."""
    try:
        return asyncio.run(stoppable(work))
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except StoppedError as stopped:
        if isinstance(stopped.__cause__, KasparroError):
            show_error(stopped.__cause__)
        say(str(stopped))
        raise typer.Exit(stopped.code) from None
