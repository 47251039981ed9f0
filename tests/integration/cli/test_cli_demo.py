"""`kasparro demo`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kasparro_app.demo.samples import candles_csv, market_rows, news_rss


def tables_of(folder: Path) -> dict[str, list[Any]]:
    """Every row of the tables that hold data."""
    with closing(sqlite3.connect(folder / "kasparro-demo" / "kasparro.db")) as database:
        return {
            table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("records", "record_versions", "raw_batches", "rejections", "entity_links")
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone()
        }


def test_the_demo_shows_three_sources_and_everything_odd(kasparro: Any, folder: Path) -> None:
    """The first look ingests API, CSV and feed, and shows the bad row, the edit, the repeat and the shared asset."""
    result = kasparro("demo")
    assert result.code == 0, result.err
    rows = {line.split()[0]: line.split()[1:6] for line in result.out.splitlines() if "succeeded" in line}
    assert rows == {
        "market": ["succeeded", "61", "60", "0", "1"],
        "prices": ["succeeded", "90", "89", "0", "0"],
        "news": ["succeeded", "9", "8", "1", "0"],
    }
    assert "Refused: prices, close:" in result.out
    assert "earlier version kept: Bitcoin starts the year above 42,000 dollars" in result.out
    assert "One asset in two sources" in result.out
    assert result.out.rstrip().endswith("As a service with a status page and an API: kasparro demo --serve")


def test_a_second_demo_writes_no_row(kasparro: Any, folder: Path) -> None:
    """Run again in the same folder, every source is unchanged, and no table of data has changed in any cell."""
    kasparro("demo")
    before = tables_of(folder)
    result = kasparro("demo")
    assert result.code == 0
    statuses = [
        line.split()[1] for line in result.out.splitlines() if line.split()[:1] in (["market"], ["prices"], ["news"])
    ]
    assert statuses[:3] == ["unchanged"] * 3
    assert "none written again" in result.out
    assert tables_of(folder) == before
    assert len(before["records"]) == 157
    assert len(before["record_versions"]) == 1


def test_the_commands_that_the_demo_names_work(kasparro: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to try next can be tried as it stands."""
    said = kasparro("demo").out
    monkeypatch.chdir(folder / "kasparro-demo")
    section = said.partition("What to try next:")[2].partition("For real data")[0]
    commands = [
        line.partition("kasparro ")[2].partition("   ")[0] for line in section.splitlines() if "kasparro " in line
    ]
    commands = [command.partition(" >")[0].split() for command in commands if command]
    assert len(commands) >= 7
    assert [command for command in commands if kasparro(*command).code != 0] == []
    exported = [json.loads(line) for line in kasparro("export", "--symbol", "BTC").out.splitlines()]
    assert {record["source"] for record in exported} == {"market", "prices"}


def test_a_changed_configuration_of_the_demo_is_left_alone(kasparro: Any, folder: Path) -> None:
    """The demo's folder is the user's: a changed kasparro.toml stays as it is."""
    kasparro("demo")
    config = folder / "kasparro-demo" / "kasparro.toml"
    config.write_text(config.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    assert kasparro("demo").code == 0
    assert config.read_text(encoding="utf-8").endswith("# mine\n")


def test_the_environment_does_not_lead_the_demo_elsewhere(
    kasparro: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With DATABASE_URL set for real work, the demo still stays in its folder."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///production.db")
    assert kasparro("demo").code == 0
    assert not (folder / "production.db").exists()


def test_the_samples_are_the_same_every_time() -> None:
    """The seeded script gives the same bytes each time it is called."""
    assert (candles_csv(), market_rows(), news_rss()) == (candles_csv(), market_rows(), news_rss())
    assert market_rows()[24] == market_rows()[25]
