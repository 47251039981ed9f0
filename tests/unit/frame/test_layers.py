"""The layers, seen from outside: what comes with an import, and who reads the environment."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import kasparro_core

SRC = Path(__file__).parents[3] / "src"
WITH_PYDANTIC = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
ENVIRONMENT_NAMES = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def core_modules() -> list[str]:
    """Every module of the core that a program may import, its test helpers for other people's adapters left out."""
    found = pkgutil.walk_packages(kasparro_core.__path__, "kasparro_core.")
    return [module.name for module in found if not module.name.startswith("kasparro_core.testing")]


def third_party(modules: list[str]) -> set[str]:
    """The top-level names outside the standard library that a new Python loads for these modules."""
    code = "import importlib, sys; before = set(sys.modules); "
    code += f"[importlib.import_module(name) for name in {modules!r}]; "
    code += "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in answer.stdout.split() if not name.startswith("_sysconfigdata")}  # named by platform
    return loaded - sys.stdlib_module_names


def test_the_core_loads_pydantic_and_nothing_else() -> None:
    """Importing every module of the core loads the standard library, pydantic with its parts, and nothing more."""
    loaded = third_party(core_modules())
    assert "kasparro_core" in loaded
    assert loaded - {"kasparro_core"} <= WITH_PYDANTIC


def test_the_core_does_not_load_the_other_layers() -> None:
    """The two names that the interface promises come without any adapter or the app."""
    assert "kasparro_adapters" not in third_party(["kasparro_core"])


def environment_readers() -> dict[str, list[int]]:
    """Modules that name the process environment, with the lines where they do."""
    found: dict[str, list[int]] = {}
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if names_environment(node):
                found.setdefault(path.relative_to(SRC).as_posix(), []).append(node.lineno)
    return found


def names_environment(node: ast.AST) -> bool:
    """True for `os.environ`, `os.getenv` and their kin, however they were imported."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr in ENVIRONMENT_NAMES
    return isinstance(node, ast.ImportFrom) and node.module == "os" and _imports(node) & ENVIRONMENT_NAMES != set()


def _imports(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def test_only_the_settings_read_the_environment() -> None:
    """No module but kasparro_app.settings names os.environ or os.getenv."""
    readers = environment_readers()
    allowed = {path for path in readers if path.startswith(("kasparro_app/settings.py", "kasparro_app/settings/"))}
    assert readers.keys() - allowed == set(), readers


@pytest.mark.parametrize(
    "code",
    ["import os\nos.environ['A']", "from os import getenv", "import os\nos.getenv('A')"],
    ids=["attr", "from", "get"],
)
def test_the_search_for_readers_sees_each_way(code: str) -> None:
    """The search above finds each way of reading the environment, so that an empty result means something."""
    assert any(names_environment(node) for node in ast.walk(ast.parse(code)))
