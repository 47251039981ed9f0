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
