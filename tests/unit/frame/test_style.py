"""Sizes and habits that keep the code readable."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function of a module, methods and inner ones included."""
    found = ast.walk(ast.parse(path.read_text("utf-8")))
    return (node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: Function) -> int:
    """The lines of a function after its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def lines(path: Path) -> int:
    """How long a module is."""
    return len(path.read_text("utf-8").splitlines())


def named(path: Path, function: Function) -> str:
    """Where a function stands, for the report."""
    return f"{path.relative_to(ROOT).as_posix()}:{function.lineno} {function.name}"


def test_modules_stay_short() -> None:
    """No module is longer than 350 lines, and half of them are no longer than 120."""
    sizes = {path.relative_to(ROOT).as_posix(): lines(path) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 350} == {}
    assert statistics.median(size for size in sizes.values() if size > 1) <= 120


def test_functions_stay_short() -> None:
    """No function body is longer than 50 lines, 19 of 20 are no longer than 30, and half no longer than 6. Migrations
    are lists of tables and left out."""
    sizes = {named(path, f): body_lines(f) for path in SOURCES if "versions" not in path.parts for f in functions(path)}
    assert {name: size for name, size in sizes.items() if size > 50} == {}
    assert statistics.quantiles(sizes.values(), n=20)[-1] <= 30
    assert statistics.median(sizes.values()) <= 6


def test_nothing_is_left_for_later() -> None:
    """No module holds a mark for work that somebody should do one day."""
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    texts = {path: path.read_text("utf-8") for path in [*SOURCES, *TESTS]}
    assert [path.name for path, text in texts.items() if any(mark in text for mark in marks)] == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_test_says_what_it_proves(path: Path) -> None:
    """Each test has a docstring."""
    tests = (function for function in functions(path) if function.name.startswith("test_"))
    assert [named(path, function) for function in tests if not ast.get_docstring(function)] == []
