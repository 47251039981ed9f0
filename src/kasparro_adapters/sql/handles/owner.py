"""The names of owners."""

from __future__ import annotations

import os
import secrets
import socket
from typing import NamedTuple


class Owner(NamedTuple):
    """Written "host:pid:random": the first two for people, the random part makes it one of a kind."""

    host: str
    pid: str
    random: str

    def __str__(self) -> str:
        return ":".join(self)


def this_process() -> Owner:
    """A new name for this process."""
    return Owner(socket.gethostname().replace(":", "-"), str(os.getpid()), secrets.token_hex(8))


def parse_owner(text: str) -> Owner | None:
    """The parts of a name, or None for one of another make."""
    parts = text.split(":")
    return Owner(*parts) if len(parts) == 3 and parts[2].isalnum() else None


def has_ended(name: str) -> bool:
    """True when the owner was a process of this machine, and there is none of that number any more. False where that
    cannot be seen: another machine, a number that was given again, Windows (which cannot ask without disturbing)."""
    other = parse_owner(name)
    if os.name == "nt" or other is None or other.host != this_process().host or not other.pid.isdecimal():
        return False
    try:
        os.kill(int(other.pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # somebody else's, or a number that no process can have
        pass
    return False
