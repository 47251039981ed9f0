"""The examples of the documentation work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kasparro_app.config.origin import Origin
from kasparro_app.settings import settings_of

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTEST = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", "-p", "no:cacheprovider"]


def blocks(language: str) -> list[Any]:
    """The fenced examples in one language, named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(match[1], id=f"{page.name}:{line}"))
    return found


EXAMPLES = blocks("python")
NAMED = re.compile(r"# (\w+\.py)\n")


@pytest.mark.parametrize("code", EXAMPLES)
def test_python_examples_run(code: str, tmp_path: Path) -> None:
    """Each Python example runs to its end in a folder that holds the examples with a file name, tests under pytest."""
    for (text,) in (example.values for example in EXAMPLES):
        if name := NAMED.match(text):
            (tmp_path / name[1]).write_text(text, "utf-8")
    name = NAMED.match(code)
    is_test = name is not None and name[1].startswith("test_")
    run = ["-m", "pytest", "-q", *PYTEST, name[1]] if name and is_test else ["-W", "error", "-c", code]
    answer = subprocess.run([sys.executable, *run], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " passed" in answer.stdout or not is_test


@pytest.mark.parametrize("text", blocks("toml"))
def test_configuration_examples_are_accepted(text: str, tmp_path: Path) -> None:
    """Each example of kasparro.toml is read without a fault; a fragment is read as the keys of a csv source."""
    document = tomllib.loads(text)
    if not any(isinstance(value, dict) for value in document.values()):
        document = {"sources": {"fragment": {"type": "csv", "path": "x.csv", **document}}}
    secrets = dict.fromkeys(re.findall(r'"env:(\w+)"', text), "secret")
    settings = settings_of(document, Origin("example"), tmp_path, environ=secrets)
    assert settings.sources.keys() == document.get("sources", {}).keys()


def test_the_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """The table of the README is the one that the demo prints, up to its last column, the seconds."""
    shown = re.search(r"^```\n(source .*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert shown
    command = [sys.executable, "-m", "kasparro_app", "demo"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    printed = [line.split()[:-1] for line in answer.stdout.splitlines() if line]
    assert [line.split()[:-1] for line in shown[1].splitlines() if line.split()[:-1] not in printed] == []
