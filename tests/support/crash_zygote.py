"""A process that has imported the program, and forks one that runs it each time it is asked: a fork takes milliseconds
where a start takes a second, and a storm of crashes starts thousands. What it forks is `kasparro` as ever, a process of
its own to be killed. POSIX alone.

Run as a script it reads one JSON object a line: {"argv", "cwd", "out", "err"}. It answers {"pid"}; the child waits for
the line "go" and then runs the program; {"status"} (as of waitpid) comes when it has ended.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

_PACKAGES = ("kasparro_core", "kasparro_adapters", "kasparro_app")
_APART = ("testing", "migrations", "__main__")
_SET_TRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def main() -> None:
    _import_all()
    gc.collect()
    gc.freeze()  # what is there stays there: a child that collected it would copy all of its memory
    for line in sys.stdin:
        _serve(json.loads(line))


def _import_all() -> None:
    """Every module, so that no child has to read one: a kill in the middle of an import says nothing new."""
    for package in map(importlib.import_module, _PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not set(_APART) & set(module.name.split(".")):
                importlib.import_module(module.name)


def _serve(order: dict[str, Any]) -> None:
    waiting, starting = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(starting)
        _run(order, waiting)
    os.close(waiting)
    _say({"pid": child})
    sys.stdin.readline()
    os.write(starting, b"go")
    os.close(starting)
    _say({"status": os.waitpid(child, 0)[1]})


def _run(order: dict[str, Any], waiting: int) -> None:
    """The program, as its console script runs it, up to the exit code of a process."""
    from kasparro_app.__main__ import main as program

    _let_anybody_trace()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.chdir(order["cwd"])
    sys.argv = ["kasparro", *order["argv"]]
    os.read(waiting, 2)
    code: object = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _let_anybody_trace() -> None:
    """Where Linux lets a process be traced by its ancestors alone (Yama), strace is none of them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_TRACER, _ANYBODY, 0, 0, 0)


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
    main()
