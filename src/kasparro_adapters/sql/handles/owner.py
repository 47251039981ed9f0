"""The names of owners."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FIRST_SPACE = 0xEFFFFFFC
"""What Linux calls the space of process numbers of the machine itself."""


class Owner(NamedTuple):
    """Written "host:pid:random": the first two for people, the random part makes it one of a kind. In a container with
    process numbers of its own, the second is "pid+number of that space"."""

    host: str
    pid: str
    random: str

    def __str__(self) -> str:
        return ":".join(self)


def this_process() -> Owner:
    """A new name for this process."""
    return Owner(socket.gethostname().replace(":", "-"), numbered(os.getpid()), secrets.token_hex(8))


def numbered(pid: int | str) -> str:
    """A process of this machine, or of this container: two may share a host name, but not their process numbers."""
    return f"{pid}{_space()}"


@cache
def _space() -> str:
    with suppress(OSError):
        number = Path("/proc/self/ns/pid").stat().st_ino
        return "" if number == _FIRST_SPACE else f"+{number}"
    return ""


def parse_owner(text: str) -> Owner | None:
    """The parts of a name, or None for one of another make."""
    parts = text.split(":")
    return Owner(*parts) if len(parts) == 3 and parts[2].isalnum() else None


def has_ended(name: str) -> bool:
    """True when the owner was a process of this machine, and there is none of that number any more. False where that
    cannot be seen: another machine or container, a number that was given again, Windows (which cannot ask without
    disturbing)."""
    other = parse_owner(name)
    if os.name == "nt" or other is None or other.host != this_process().host:
        return False
    pid = other.pid.partition("+")[0]
    if not pid.isdecimal() or other.pid != numbered(pid):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # somebody else's, or a number that no process can have
        pass
    return False
