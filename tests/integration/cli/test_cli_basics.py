"""The frame of the command line: help, exit codes, init, errors, what is loaded when."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

SRC = Path(__file__).parents[3] / "src"
HEAVY = {"dependency_injector", "sqlalchemy", "alembic", "aiohttp", "feedparser", "rich", "msgspec", "chardet"}


def test_the_start_loads_nothing_heavy() -> None:
    """Importing the command line, which is what --help costs, loads none of the heavy libraries."""
    code = "import sys, kasparro_app.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    assert HEAVY & set(answer.stdout.split()) == set()


def test_help_names_every_verb(kasparro: Any) -> None:
    """--help lists the verbs and ends well."""
    result = kasparro("--help")
    assert result.code == 0
    verbs = {line.split()[0] for line in result.out.partition("Commands:")[2].splitlines() if line.strip()}
    promised = "demo init check preview run sources runs rejections export migrate state replay doctor"
    assert verbs >= set(promised.split())


def test_the_version_is_shown(kasparro: Any) -> None:
    """--version says the name of the program."""
    result = kasparro("--version")
    assert (result.code, result.out.startswith("kasparro ")) == (0, True)


@pytest.mark.parametrize(
    "arguments", [["frob"], ["run", "--frob"], ["export", "--format", "xml"], ["runs", "--limit", "0"]]
)
def test_usage_errors_have_exit_code_2(kasparro: Any, arguments: list[str]) -> None:
    """An unknown verb, option or value is a usage error."""
    assert kasparro(*arguments).code == 2


def test_configuration_faults_are_told_all_at_once(kasparro: Any, folder: Path) -> None:
    """Two faults, two lines with file and line number, exit code 2, nothing on standard output."""
    (folder / "kasparro.toml").write_text('[api]\nprt = 1\n[sources.a]\ntype = "cvs"\n', encoding="utf-8")
    for verb in ("run", "check", "sources", "runs", "export"):
        result = kasparro(verb)
        assert (result.code, result.out) == (2, "")
        assert "kasparro.toml:2: api.prt: unknown key 'prt'; did you mean \"port\"?" in result.err
        assert "kasparro.toml:4: sources.a.type: unknown source type 'cvs'" in result.err


def test_without_sources_the_way_to_some_is_shown(kasparro: Any, folder: Path) -> None:
    """An empty folder is no failure to puzzle over: the error names `kasparro init`."""
    result = kasparro("run")
    assert result.code == 2
    assert "kasparro init" in result.err


def test_a_named_configuration_may_stand_anywhere(kasparro: Any, folder: Path) -> None:
    """With --config the paths of the file start from the file; the database is made beside it."""
    below = folder / "below"
    below.mkdir()
    (below / "my.toml").write_text('[sources.a]\ntype = "csv"\npath = "a.csv"\n', encoding="utf-8")
    (below / "a.csv").write_text("x\n1\n", encoding="utf-8")
    assert kasparro("--config", "below/my.toml", "run").code == 0
    assert (below / "kasparro.db").exists()


def test_an_unreachable_database_is_one_sentence(kasparro: Any, folder: Path) -> None:
    """A database in a folder that is not there: exit code 1 and a sentence, no traceback."""
    config = '[database]\nurl = "sqlite:///no/such/folder/x.db"\n[sources.a]\ntype = "csv"\npath = "a.csv"\n'
    (folder / "kasparro.toml").write_text(config, encoding="utf-8")
    (folder / "a.csv").write_text("x\n1\n", encoding="utf-8")
    (folder / "no").write_text("a file where a folder should be", encoding="utf-8")
    result = kasparro("run")
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert result.err.startswith("error: ")


@pytest.mark.parametrize("template", ["crypto", "csv", "feed"])
def test_init_writes_a_valid_file_once(kasparro: Any, folder: Path, template: str) -> None:
    """Each template is valid TOML without faults; it is never written over, unless that is asked for."""
    assert kasparro("init", "--template", template).code == 0
    file = folder / "kasparro.toml"
    assert tomllib.loads(file.read_text(encoding="utf-8"))["sources"]
    assert json.loads(kasparro("sources", "--json").out)
    file.write_text("# mine\n", encoding="utf-8")
    assert kasparro("init", "--template", template).code == 2
    assert file.read_text(encoding="utf-8") == "# mine\n"
    assert kasparro("init", "--template", template, "--force").code == 0
    assert "[sources." in file.read_text(encoding="utf-8")


def test_the_crypto_template_has_the_live_sources_switched_on(kasparro: Any, folder: Path) -> None:
    """CoinGecko, CoinPaprika and CoinDesk are enabled, without any key in the environment."""
    kasparro("init")
    sources = {view["source"]: view for view in json.loads(kasparro("sources", "--json").out)}
    assert {name: (view["type"], view["enabled"]) for name, view in sources.items()} == {
        "coingecko": ("http", True),
        "coinpaprika": ("http", True),
        "coindesk": ("feed", True),
    }
