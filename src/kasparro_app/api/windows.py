"""Where the rate limit counts: an SQLite file that all worker processes of one machine share, or memory."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from limits.aio.storage import Storage

T = TypeVar("T")
_WAIT: Final = 5.0
_SET_UP: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = OFF",  # counts of the last minute: nothing is lost that a restart would not lose
    "CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, hits INTEGER NOT NULL, ends_at REAL NOT NULL)",
)
_HIT: Final = """
INSERT INTO windows (key, hits, ends_at) VALUES (:key, :amount, :now + :expiry)
ON CONFLICT (key) DO UPDATE SET
    hits = CASE WHEN ends_at > :now THEN hits ELSE 0 END + excluded.hits,
    ends_at = CASE WHEN ends_at > :now THEN ends_at ELSE excluded.ends_at END
RETURNING hits
"""


class Windows(Storage):
    """A storage of `limits` for fixed windows, each of which begins with its caller's first request.

    `file` None: in memory, for one process. Errors come out as `limits.errors.StorageError`. Close it at the end.
    """

    def __init__(self, file: Path | None) -> None:
        super().__init__(wrap_exceptions=True)
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the driver raises."""
        return sqlite3.Error

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and return the hits of the window; a new one lasts `expiry` seconds. Windows that are over go."""

        def hit(connection: sqlite3.Connection) -> int:
            now = time.time()
            values = {"key": key, "amount": amount, "now": now, "expiry": expiry}
            (hits,) = connection.execute(_HIT, values).fetchone()
            if hits == amount:
                connection.execute("DELETE FROM windows WHERE ends_at <= ?", (now,))
            return int(hits)

        return await self._ask(hit)

    async def get(self, key: str) -> int:
        """The hits of a window, 0 when there is none."""
        row = await self._row(key)
        return int(row[0]) if row else 0

    async def get_expiry(self, key: str) -> float:
        """When a window ends (seconds since the epoch); now, when there is none."""
        row = await self._row(key)
        return float(row[1]) if row else time.time()

    async def check(self) -> bool:
        """Whether it can be counted."""
        return await self._ask(lambda connection: connection.execute("SELECT 1").fetchone() is not None)

    async def reset(self) -> int:
        """Forget all windows; returns how many."""
        return await self._ask(lambda connection: connection.execute("DELETE FROM windows").rowcount)

    async def clear(self, key: str) -> None:
        """Forget one window."""
        await self._ask(lambda connection: connection.execute("DELETE FROM windows WHERE key = ?", (key,)))

    def close(self) -> None:
        """Close the file. Twice is fine; a further question opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    async def _row(self, key: str) -> tuple[int, float] | None:
        question = "SELECT hits, ends_at FROM windows WHERE key = ? AND ends_at > ?"
        return await self._ask(lambda connection: connection.execute(question, (key, time.time())).fetchone())

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Another process may hold the file for a moment: nobody waits for it in the event loop."""
        return await asyncio.to_thread(self._ask_now, question)

    def _ask_now(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            return question(self._connection)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file or ":memory:", timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        for statement in _SET_UP:
            connection.execute(statement)
        return connection
