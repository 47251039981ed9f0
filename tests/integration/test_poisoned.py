"""A file of which a tenth is refused: nothing is lost, and after the mend nothing is missing."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
from postgres import Server

ROWS = int(os.environ.get("KASPARRO_TEST_POISONED", "5000"))


def benchmark() -> ModuleType:
    """`benchmarks/poisoned.py`, which looks at each row and ends where one is not as it has to be."""
    path = Path(__file__).parents[2] / "benchmarks" / "poisoned.py"
    spec = importlib.util.spec_from_file_location("poisoned", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_poisoned_file_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every tenth row is refused with reason, row and place, all others load, and a replay by the mended mapping leaves
    the table of a clean load and no open rejection. KASPARRO_TEST_POISONED says how many rows."""
    urls = [f"sqlite:///{(tmp_path / name).as_posix()}" for name in ("clean.db", "poisoned.db")]
    await benchmark().main(*urls, ROWS, 10)
    said = capsys.readouterr().out
    assert f"open, with reason, row and place: {ROWS // 10:>12,}" in said
    assert f"records equal to those of the clean load: {ROWS:>12,}" in said
    print(said)  # noqa: T201 - the figures that were asked for


@pytest.mark.postgres
async def test_a_poisoned_file_on_postgresql(postgres_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The same on PostgreSQL."""
    names = [postgres_server.create(), postgres_server.create()]
    try:
        await benchmark().main(*map(postgres_server.database_url, names), ROWS, 10)
    finally:
        for name in names:
            postgres_server.drop(name)
    assert f"records equal to those of the clean load: {ROWS:>12,}" in capsys.readouterr().out
