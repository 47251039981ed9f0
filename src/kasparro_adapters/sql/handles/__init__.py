"""Handles that die with their process: a file lock beside SQLite, a session lock on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.sql.handles.file import FileHandle
from kasparro_adapters.sql.url import parse_url
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.ownership import ProcessHandle


def process_handle(url: str, clock: Clock | None = None) -> ProcessHandle:
    """The handle that fits a store's URL; make one per process. Takes nothing before `hold`. It waits by the `clock`,
    the machine's where none is given.

    Raises ConfigurationError for a URL that cannot be used.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return FileHandle(Path(str(parsed.database)))
    from kasparro_adapters.sql.handles.advisory import AdvisoryHandle  # its driver is an extra

    return AdvisoryHandle(parsed, clock or SystemClock())
