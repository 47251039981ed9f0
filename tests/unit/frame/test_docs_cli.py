"""The reference of the command line and the command line say the same."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

import kasparro_app.cli as face

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text("utf-8")
SPELLED = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def application() -> typer.Typer:
    """The Typer application with the most verbs: the one that `kasparro` runs."""
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(face.__path__, f"{face.__name__}.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, typer.Typer)]
    return max(found, key=lambda app: len(app.registered_commands) + len(app.registered_groups))


def verbs(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb that does something, as typed: `run`, `rejections list`."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for word, child in below.items():
        yield from verbs(child, f"{name} {word}".strip())


ROOT = typer.main.get_command(application())
VERBS = dict(verbs(ROOT))


def section(heading: str) -> str:
    """What the page says under one heading of the second level."""
    match = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def options(command: Any) -> set[str]:
    """The long options of a command, with the negative spelling where there is one; help and completion left out."""
    params = [param for param in command.params if param.param_type_name == "option"]
    names = {name for param in params for name in (*param.opts, *param.secondary_opts) if name.startswith("--")}
    return names - {"--help", "--install-completion", "--show-completion"}


def arguments(command: Any) -> set[str]:
    """The arguments of a command as its usage shows them."""
    params = [param for param in command.params if param.param_type_name == "argument"]
    return {(param.metavar or param.name).upper().strip("[].") for param in params}


def test_the_verbs_are_found() -> None:
    """The walk finds the verbs that people script against."""
    promised = {"demo", "init", "check", "preview", "run", "sources", "runs", "export", "migrate", "replay", "doctor"}
    promised |= {"serve", "stats", "compare", "prune", "healthcheck", "keys create", "keys list", "keys revoke"}
    assert promised | {"rejections list", "rejections show", "state show"} <= VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_section(verb: str) -> None:
    """Each verb has a section that names exactly its options, and each of its arguments."""
    text = section(verb)
    assert text, f"no section '## {verb}'"
    assert set(SPELLED.findall(text)) - {"--config", "--json"} == options(VERBS[verb]) - {"--config", "--json"}
    assert "--json" not in options(VERBS[verb]) or "--json" in text
    assert {name for name in arguments(VERBS[verb]) if name not in text} == set()


def test_the_table_of_verbs_is_complete() -> None:
    """The table that the page begins with leads to each verb."""
    assert set(re.findall(r"\[`([a-z ]+)`\]\(#", PAGE.partition("\n## ")[0])) == set(VERBS)


def test_the_options_before_the_verb_are_documented() -> None:
    """The options before the verb stand in their own section."""
    assert set(SPELLED.findall(section("Before the verb"))) >= options(ROOT)


def test_no_section_is_left_over() -> None:
    """Each section of the page is a verb that exists, or one of the general ones."""
    general = {"Before the verb", "Exit codes", "Output"}
    assert set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)) - general == set(VERBS)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 130, 143])
def test_every_exit_code_is_documented(code: int) -> None:
    """Each exit code has its row."""
    assert re.search(rf"^\| {code} \|", section("Exit codes"), re.MULTILINE)
