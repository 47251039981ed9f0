"""Kasparro's store in SQLite or PostgreSQL, and the handles that tell a live owner from a dead one."""

from kasparro_adapters.sql.handles import process_handle
from kasparro_adapters.sql.store import SqlStore

__all__ = ["SqlStore", "process_handle"]
