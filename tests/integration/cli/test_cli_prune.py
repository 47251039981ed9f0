"""`kasparro prune` from the file to the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CONFIG = """
[sources.prices]
type = "csv"
path = "prices.csv"
kind = "quote"
[sources.prices.mapping]
key = ["symbol"]
value = "price"
[retention]
raw = "1B"
resolved_rejections = "30d"
"""


@pytest.fixture
def loaded(kasparro: Call, folder: Path) -> Path:
    """A database with three states of one file."""
    (folder / "kasparro.toml").write_text(CONFIG)
    for price in (1, 2, 3):
        (folder / "prices.csv").write_text(f"symbol,price\nBTC,{price}\n")
        assert kasparro("run", "--full").code == 0
    return folder / "kasparro.db"


def payloads(database: Path) -> int:
    """How many payloads are stored."""
    connection = sqlite3.connect(database)
    (count,) = connection.execute("SELECT count(*) FROM raw_batches").fetchone()
    connection.close()
    return int(count)


def test_a_dry_run_tells_what_a_pruning_does(kasparro: Call, loaded: Path) -> None:
    """The same rows and bytes, first promised and then gone; a third time there is nothing left to do."""
    promised = json.loads(kasparro("prune", "--dry-run", "--json").out)
    assert payloads(loaded) == 3
    done = json.loads(kasparro("prune", "--json").out)
    assert done == promised
    assert payloads(loaded) == 1
    raw = {view["kind"]: view for view in done}["raw"]
    assert (raw["keep"], raw["rows"], raw["bytes"] > 0) == ("1B", 2, True)
    assert [view["kind"] for view in done] == ["resolved_rejections", "raw", "events", "answers", "slots"]
    assert [view["rows"] for view in json.loads(kasparro("prune", "--json").out)] == [0] * 5


def test_prints_a_table(kasparro: Call, loaded: Path) -> None:
    """A line for each kind that is pruned, with how much of it is kept."""
    lines = kasparro("prune").out.splitlines()
    assert lines[0].split() == ["kind", "keep", "rows", "bytes"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["resolved_rejections", "30d", "0"],
        ["raw", "1B", "2"],
        ["events", "7d", "0"],
        ["answers", "1d", "0"],
        ["slots", "30d", "0"],
    ]
    assert payloads(loaded) == 1


def test_without_a_file_nothing_of_the_data_goes(kasparro: Call) -> None:
    """Only the service's own things are looked at."""
    views = json.loads(kasparro("prune", "--json").out)
    assert [view["kind"] for view in views] == ["events", "answers", "slots"]


def test_a_bad_amount_is_refused_with_its_line(kasparro: Call, folder: Path) -> None:
    """Before the database is touched."""
    (folder / "kasparro.toml").write_text('[retention]\nraw = "many"\n')
    refused = kasparro("prune")
    assert refused.code == 2
    assert "kasparro.toml:2: retention.raw" in refused.err
    assert not (folder / "kasparro.db").exists()
