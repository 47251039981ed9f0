"""The commands that a person types first."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z][a-z-]*):.*## (.+)$", MAKEFILE, re.MULTILINE)
PROMISED = {"help", "run", "demo", "test", "test-unit", "test-contract", "test-integration"}
PROMISED |= {"lint", "format", "type-check", "clean"}
PROMISED |= {"serve", "up", "down", "restart", "logs", "logs-db", "psql", "shell", "migrate"}
WITHOUT_MAKE = pytest.mark.skipif(
    shutil.which("make") is None or os.name == "nt", reason="needs make and a POSIX shell"
)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the repository, in an environment that knows nothing of an outer make."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_every_promised_target_is_there() -> None:
    """The targets that the documentation names exist, each with a line of help."""
    assert {name for name, _ in TARGETS} >= PROMISED


def test_every_target_is_documented() -> None:
    """Each target stands in the documentation, as one types it."""
    pages = "\n".join(page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert [name for name, _ in TARGETS if not re.search(rf"\bmake {name}\b(?!-)", pages)] == []


def test_every_phony_target_helps_itself() -> None:
    """A target cannot be added without a line in `make help`."""
    phony = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE))
    assert phony == {name for name, _ in TARGETS}


@WITHOUT_MAKE
def test_help_lists_every_target() -> None:
    """`make help`, and `make` alone, print every target with its sentence."""
    for answer in (make("help"), make()):
        assert answer.returncode == 0, answer.stderr
        for name, sentence in TARGETS:
            assert f"make {name}" in answer.stdout
            assert sentence in answer.stdout


@WITHOUT_MAKE
def test_an_old_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """An interpreter below 3.11 is named and refused before anything is made."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.9.0;; *) exit 1;; esac\n')
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    answer = make("-C", str(tmp_path), "run", f"PYTHON={old}")
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer" in answer.stderr
    assert "Python 3.9.0" in answer.stderr
    assert not (tmp_path / ".venv").exists()


@WITHOUT_MAKE
@pytest.mark.parametrize("there", [[], [".env"]])
def test_what_the_containers_need_is_said(there: list[str], tmp_path: Path) -> None:
    """`make up` without .env or kasparro.toml says what to do, before docker is called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in there:
        (tmp_path / name).touch()
    answer = make("-C", str(tmp_path), "up", "COMPOSE=touch called;")
    assert answer.returncode != 0
    assert ("There is no kasparro.toml" if there else "There is no .env") in answer.stderr
    assert not (tmp_path / "called").exists()


@WITHOUT_MAKE
def test_the_containers_are_called(tmp_path: Path) -> None:
    """With both files `make up` starts compose, with the profile if one is asked for."""
    for name in (".env", "kasparro.toml"):
        (tmp_path / name).touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    for profile, expected in (("", "compose up"), ("PROFILE=monitoring", "compose --profile monitoring up")):
        answer = make("-C", str(tmp_path), "up", "COMPOSE=echo compose", *filter(None, [profile]))
        assert answer.returncode == 0, answer.stderr
        assert f"{expected} --build --detach --wait" in answer.stdout


def test_ci_runs_the_same_two_commands() -> None:
    """.ci/run is `make lint` and then `make test`, so that a person can repeat what it says."""
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("make ")] == ["make lint", "make test"]
    assert "set -euo pipefail" in lines


def test_the_workflow_runs_make_targets_alone() -> None:
    """Each step of the workflow that runs something runs a make target that exists."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    commands = re.findall(r"run: (.+)$", workflow, re.MULTILINE)
    names = {name for name, _ in TARGETS}
    assert commands
    assert all(re.fullmatch(r"make ([a-z-]+) PYTHON=python", command) for command in commands), commands
    assert {command.split()[1] for command in commands} <= names
