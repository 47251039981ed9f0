"""The system calls of a run at which it can be stopped: found by a dry run under strace, and struck one by one.

strace counts its injections per thread and call. So a `Place` names the call and, where it tells calls apart, the file;
the calls of one place come from one thread, all but a few that clean up. A thread that is not followed is not counted:
what a socket is sent comes from the main thread alone, and only that one is followed there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from crash_try import Strike
from crash_world import Ended, Runs, Started, World

STRACE = shutil.which("strace")
CALLS = (
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate"),
    *("fsync", "fdatasync", "sync_file_range"),
    *("sendto", "sendmsg", "sendmmsg"),
    *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "flock"),
)
"""What changes a file, makes it last, speaks to a server, or changes a directory or a lock. Not among them: memory that
is mapped (SQLite's index of its log, which is made anew after a crash)."""

_OF_A_FILE = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)")
_OF_A_PATH = re.compile(r'^(\d+) +(\w+)\((?:AT_FDCWD[^,]*, )?"')
_FILES = ("kasparro.db", "kasparro.db-wal", "kasparro.db-shm", "kasparro.db-journal", "out.txt", "err.txt", ".")
_TRACING = re.compile(r"[Pp]rocess \d+ attached")


def refused() -> str | None:
    """Why no process can be stopped at a system call here; None where it can."""
    if STRACE is None:
        return "strace is not installed: nothing else stops at a system call"
    probe = [STRACE, "-o", os.devnull, "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=1", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"strace may not trace here: {done.stderr}" if done.returncode else None


@dataclass(frozen=True, order=True)
class Place:
    """A system call and the file that it is about; no file: whatever it is about. `threads`: of all threads."""

    call: str
    file: str = ""
    threads: bool = True

    def __str__(self) -> str:
        return f"{self.call}{'@' if self.file else ''}{self.file}"

    def options(self, directory: Path) -> list[str]:
        """What strace is told, besides what to do there."""
        path = ["-P", str(directory / self.file)] if self.file else []
        return [*(["-f"] if self.threads else []), *path, "-e", f"trace={self.call}"]


@dataclass(frozen=True, order=True)
class Point:
    """The n-th call at a place, from 1. As text: `pwrite64@kasparro.db-wal#17`."""

    place: Place
    number: int

    def __str__(self) -> str:
        return f"{self.place}#{self.number}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """The inverse of `str`."""
        place, _, number = text.partition("#")
        call, _, file = place.partition("@")
        return cls(_place(call, file), int(number))

    def killing(self, world: World) -> Strike:
        """SIGKILL when the call is about to be made; it is not made any more."""
        return traced([*self.place.options(world.directory), "-e", self._injection()], world.directory / "trace.txt")

    def _injection(self) -> str:
        return f"inject={self.place.call}:signal=KILL:when={self.number}"


def traced(options: list[str], log: Path) -> Strike:
    """A run under strace with these options, which writes down what it saw."""

    def strike(started: Started) -> Ended:
        command = [STRACE or "strace", "-p", str(started.pid), "-o", str(log), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            said = tracer.stderr.readline() if tracer.stderr is not None else ""
            ended = started.go().ended()
            tracer.communicate()
        assert _TRACING.search(said), f"strace does not trace: {said}"
        return ended

    return strike


def points_of(runs: Runs, world: World) -> list[Point]:
    """Every point of an undisturbed run, by place, in the order of each thread's calls."""
    log = world.directory / "trace.txt"
    names = ",".join(f"?{call}" for call in CALLS)  # "?": some machines do not have them all
    ended = traced(["-f", "-yy", "-e", f"trace={names}"], log)(runs.start(world, *world.run))
    assert ended.code == 0, ended.err
    found = counted(log.read_text(encoding="utf-8", errors="replace"), world.directory)
    return [Point(place, number) for place in sorted(found) for number in range(1, found[place] + 1)]


def counted(trace: str, directory: Path) -> dict[Place, int]:
    """The calls at each place, of the thread that makes most of them."""
    by_thread: Counter[tuple[Place, str]] = Counter()
    for line in trace.splitlines():
        if found := _OF_A_FILE.match(line):
            thread, call, file = found.groups()
            if not _inside(file):
                name = "." if Path(file) == directory else Path(file).name
                by_thread[_place(call, name), thread] += 1
        elif found := _OF_A_PATH.match(line):
            by_thread[_place(found[2], ""), found[1]] += 1
    most: dict[Place, int] = {}
    for (place, _), number in by_thread.items():
        most[place] = max(number, most.get(place, 0))
    return most


def _place(call: str, file: str) -> Place:
    if call.startswith("send"):
        return Place(call, threads=False)
    return Place(call, file if file in _FILES else "")


def _inside(file: str) -> bool:
    """A socket or pipe between the threads of the process: by it they wake one another, and nobody else sees it."""
    return not file.startswith(("TCP", "/"))
