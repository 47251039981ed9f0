"""Looks into a database and at processes from outside, with raw drivers: nothing of the product is imported."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Self

import asyncpg
from ledger import query

_SQLITE_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_POSTGRES_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"

SILENT_IN_TRANSACTION = (
    "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kasparro'"
    " AND backend_xid IS NOT NULL AND wait_event = 'ClientRead'"
)
"""The sessions of the program that have written something, and not committed it, and wait for their client. "idle in
transaction" is between two statements; "active" is in the middle of one: it is prepared, or wants more rows."""

LOCK_WAITS = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND application_name = 'kasparro'"
)


def snapshot(url: str) -> dict[str, str]:
    """Every table of the database as it is now: a digest over all its rows. Two are equal when nothing was written."""
    names = query(url, _SQLITE_TABLES if url.startswith("sqlite") else _POSTGRES_TABLES)
    return {name: _digest(query(url, f'SELECT * FROM "{name}"')) for (name,) in names}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The tables that differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def wait_for(
    look: Callable[[], Any], what: str, child: subprocess.Popen[str] | None = None, seconds: float = 40.0
) -> Any:
    """Look again until something is found, without letting much time pass; and no longer than a child lives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        if child is not None and child.poll() is not None:
            raise AssertionError(f"{what} did not come before the child ended: {child.communicate()}")
        time.sleep(0.005)
    raise AssertionError(f"{what} did not come in {seconds} s")


def stop(pid: int) -> None:
    """SIGSTOP a child of this process, and come back when it stands still. POSIX alone."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT | os.WEXITED)


def is_locked(url: str) -> bool:
    """Somebody is writing to a SQLite file at this moment."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        connection.execute("ROLLBACK")
        return False


def execute(url: str, *statements: str) -> None:
    """Run statements on a connection of its own, each for itself."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
    else:
        asyncio.run(_execute(url, statements))


async def _execute(url: str, statements: tuple[str, ...]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


class Session:
    """A session of our own on PostgreSQL, by the raw driver."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, statement: str) -> None:
        """One statement, e.g. BEGIN, and LOCK TABLE afterwards."""
        self._runner.run(self._connection.execute(statement))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return [tuple(row) for row in self._runner.run(self._connection.fetch(query))]

    def close(self) -> None:
        """End it, with its locks. Twice is fine."""
        if not self._connection.is_closed():
            self._runner.run(self._connection.close())
            self._runner.close()


def age_lease(url: str, source: str) -> None:
    """Let the time of a lease be over, as if a minute and more had passed."""
    past = "'2020-01-01T00:00:00.000000Z'"
    execute(url, f"UPDATE leases SET expires_at = {past} WHERE source = '{source}'")


def _digest(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()
