"""Kasparro from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kasparro_app
from kasparro_core.errors import ConfigurationError


async def test_run_takes_plain_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as in kasparro.toml go in, a report with the runs comes out; the environment overrides nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///elsewhere.db")
    Path("prices.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    report = await kasparro_app.run({"prices": {"type": "csv", "path": "prices.csv"}}, database="sqlite:///x.db")
    assert report.runs["prices"].counters.inserted == 1
    assert report.ok
    assert Path("x.db").exists()
    assert not Path("elsewhere.db").exists()


async def test_faults_are_raised_together() -> None:
    """A wrong table is a ConfigurationError with a near name, before anything is opened."""
    with pytest.raises(ConfigurationError) as caught:
        await kasparro_app.run({"p": {"type": "csv", "path": "x", "delimitr": ";"}}, database="sqlite:///x.db")
    assert "sources.p.delimitr: unknown key 'delimitr'; did you mean \"delimiter\"?" in caught.value.problems[0]


async def test_a_table_that_is_none_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is not a dictionary is told like any other fault, not as a TypeError."""
    monkeypatch.chdir(tmp_path)
    sources: Any = {"p": 5}
    with pytest.raises(ConfigurationError) as caught:
        await kasparro_app.run(sources, database="sqlite:///x.db")
    assert caught.value.problems == ("sources: sources.p: expected a table",)
    assert not Path("x.db").exists()
