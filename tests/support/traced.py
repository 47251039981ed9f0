"""A Python program under strace: what it opened, connected to and started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent
_CALLS = "trace=open,openat,openat2,creat,socket,connect,execve,fork,vfork"
_NO_CALL = ("+++", "---", "resumed")
_OWN = (sys.prefix, sys.base_prefix, str(SUPPORT.parents[1] / "src"), str(SUPPORT.parent))

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def traced(code: str, folder: Path, *arguments: str) -> tuple[str, list[str]]:
    """What a program prints, and its system calls that open, connect or start something, in order; those by which an
    interpreter reads itself are left out."""
    program, trace = folder / "traced.py", folder / "trace"
    program.write_text(code, encoding="utf-8")
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", _CALLS, "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, "-B", str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    lines = trace.read_text("utf-8", "replace").splitlines()
    return done.stdout, [line for line in lines if not _is_own(line)]


def _is_own(line: str) -> bool:
    return any(f'"{place}' in line for place in _OWN) or any(mark in line for mark in _NO_CALL)
