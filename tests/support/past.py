"""An upstream that can be asked for past windows, and the configuration of a source that does so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from upstream import Upstream

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
PER_PAGE = 5

CONFIG = """
[database]
url = {database}

[sources.past]
type = "http"
url = "{url}"
kind = "candle"
allow_private_hosts = true
paginate = {{ type = "page", size_param = "per_page", size = 5 }}
backfill = {{ start_param = "start", end_param = "end" }}
mapping = {{ key = ["id"], value = "price", occurred_at = {{ field = "at", required = true }} }}
"""


def rows_of(days: int, each: int) -> list[dict[str, Any]]:
    """So many rows on each day from BEGIN on, the first at midnight."""
    step = timedelta(days=1) / each
    return [{"id": f"row-{n}", "at": (BEGIN + n * step).isoformat(), "price": f"{n}.25"} for n in range(days * each)]


class Past(Upstream):
    """Serves rows by the window that it is asked for (`start` and `end`, ISO), in pages of PER_PAGE; without a window
    the newest ten, as a live list does. `windows` are those asked for, by their start, once for each page; `fails`
    gives the status that a window, told by its start, is answered with (None: 200)."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(rows)
        self.windows: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.fails: Callable[[str], int | None] = lambda start: None

    def answer(self, address: str) -> tuple[str, bytes, int]:
        given = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        start, end = given.get("start"), given.get("end")
        with self._lock:
            self.queries.append(given)
            if start is not None:
                self.windows.append(start)
            number = len(self.queries)
        self.hook(number)
        if start is None or end is None:
            rows = self.rows[-10:]
        else:
            first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
            rows = [row for row in self.rows if first <= datetime.fromisoformat(row["at"]) < last]
        at = (int(given.get("page", "1")) - 1) * PER_PAGE
        return "application/json", json.dumps(rows[at : at + PER_PAGE]).encode(), number

    def status(self, address: str) -> int:
        given = parse_qs(urlsplit(address).query)
        return self.fails(given.get("start", [""])[0]) or 200

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.windows, self.queries = [], []

    def pages(self) -> Counter[str]:
        """How many pages of each window were asked for."""
        with self._lock:
            return Counter(self.windows)


def config_of(past: Past, database: str) -> str:
    """The configuration that reads it."""
    return CONFIG.format(database=json.dumps(database), url=past.url)
