"""Serving processes for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Served, starting

CONFIG = """
[database]
url = {database}

[sources.prices]
type = "csv"
path = "prices.csv"
schedule = {schedule}
batch_rows = 40
[sources.prices.mapping]
key = "id"
value = "price"
"""


@pytest.fixture
def start() -> Iterator[Callable[..., Served]]:
    """Start a process: `start(folder, "serve", "--port", "0")`."""
    with starting() as starter:
        yield starter


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    """A folder with a configuration of one timed CSV source: `configured(database_url, schedule="every 1s")`."""

    def make(database: str, schedule: str = "every 1s", rows: int = 100, more: str = "") -> Path:
        text = CONFIG.format(database=json.dumps(database), schedule=json.dumps(schedule))
        (tmp_path / "kasparro.toml").write_text(text + more, encoding="utf-8")
        lines = ["id,price", *(f"row-{number},{number}.5" for number in range(rows))]
        (tmp_path / "prices.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return make
