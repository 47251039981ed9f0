"""The command line on PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.postgres


def test_a_cycle_into_an_empty_postgresql(
    kasparro: Any, folder: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DATABASE_URL leads everything to PostgreSQL: the first run makes the tables, the second is unchanged."""
    monkeypatch.setenv("DATABASE_URL", empty_postgres_url)
    (folder / "a.csv").write_text("id,price\n1,0.10000000000000000001\n2,x\n", encoding="utf-8")
    config = '[sources.a]\ntype = "csv"\npath = "a.csv"\n[sources.a.mapping]\nkey = "id"\n'
    (folder / "kasparro.toml").write_text(config + 'value = "price"\n', encoding="utf-8")
    assert kasparro("doctor").code == 0
    assert kasparro("run").code == 0
    (run,) = json.loads(kasparro("run", "--json").out)
    assert run["status"] == "unchanged"
    exported = kasparro("export").out
    assert len(exported.splitlines()) == 2
    assert '"value":0.10000000000000000001' in exported
    assert kasparro("doctor").code == 0
    assert not (folder / "kasparro.db").exists()
