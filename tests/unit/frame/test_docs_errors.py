"""The reference of errors and the codes in the source text say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[3] / "src"
PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "errors.md").read_text("utf-8")
CODE = re.compile(r"[a-z][a-z0-9_]+")
NAMES = {"code", "error_code"}


def spelled_codes() -> dict[str, str]:
    """Every code that the program gives to an error or a rejection, and one module that does."""
    paths = [path for path in sorted(SRC.rglob("*.py")) if "testing" not in path.parts]
    trees = {path.relative_to(SRC).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}
    places = {name: place for tree in trees.values() for name, place in takers(tree)}
    return {code: module for module, tree in trees.items() for code in codes_in(tree, places)}


def takers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Functions and records that take a code by position, with the place where they do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg not in {"self", "cls"}]
        elif isinstance(node, ast.ClassDef):
            lines = [line for line in node.body if isinstance(line, ast.AnnAssign)]
            names = [line.target.id for line in lines if isinstance(line.target, ast.Name)]
        else:
            continue
        yield from ((node.name, place) for place, name in enumerate(names) if name in NAMES)


def codes_in(tree: ast.AST, places: dict[str, int]) -> Iterator[str]:
    """Codes as text: `code="..."` of a call, `code = "..."` of a class, or the place where a call takes its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in NAMES:
            yield from texts(node.value)
        elif isinstance(node, ast.ClassDef):
            yield from (code for line in node.body for code in class_code(line, every=node.name == "Fault"))
        elif isinstance(node, ast.Call):
            place = places.get(called(node.func), len(node.args))
            yield from (code for argument in node.args[place : place + 1] for code in texts(argument))


def class_code(line: ast.stmt, *, every: bool) -> Iterator[str]:
    """The text of `code = "..."` in a class body, and of every member of an enumeration of faults."""
    if isinstance(line, ast.Assign) and (every or [name for name in line.targets if called(name) in NAMES]):
        yield from texts(line.value)


def texts(node: ast.expr) -> Iterator[str]:
    """The literal code that an expression is, both sides of a choice included."""
    if isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
        yield node.value


def called(function: ast.expr) -> str:
    """The last name of what is called: `Rejection`, also in `model.Rejection`."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def documented() -> set[str]:
    """The codes in the first column of the page's tables."""
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", PAGE, re.MULTILINE))


def test_every_code_is_documented() -> None:
    """Each code that can stand in a ledger, a rejection or a metric has its row on the page."""
    spelled = spelled_codes()
    assert {code: module for code, module in spelled.items() if code not in documented()} == {}


def test_no_row_is_left_over() -> None:
    """Each row of the page is a code that some module spells."""
    everything = "\n".join(path.read_text("utf-8") for path in SRC.rglob("*.py"))
    assert {code for code in documented() if f'"{code}"' not in everything} == set()


def test_the_search_sees_each_way_of_spelling() -> None:
    """The search finds codes of calls, classes, records and helpers, so that an empty result means something."""
    text = "class E(Error):\n    code = 'one'\nraise E('m', code='two' if x else 'three')\n"
    text += "class R(NamedTuple):\n    stage: str\n    code: str\nR(stage, 'four')\n"
    text += "class D:\n    def _reject(self, row, code): ...\n    def f(self): self._reject(row, 'five')\n"
    tree = ast.parse(text)
    assert set(codes_in(tree, dict(takers(tree)))) == {"one", "two", "three", "four", "five"}
