"""The HTTP reference and the routes say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kasparro_app.api.general_answers import GENERAL
from kasparro_app.api.operation import Operation
from kasparro_app.api.registry import OPERATIONS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text("utf-8")
ROUTES = [pytest.param(op, path, id=f"{op.method} {path}") for op in OPERATIONS for path in (op.path, *op.aliases)]


@pytest.mark.parametrize(("operation", "path"), ROUTES)
def test_every_route_is_documented(operation: Operation, path: str) -> None:
    """Each path stands on the page by its method; what only serves a page of ours, by its path."""
    spelled = f"`{operation.method} {path}`" if operation.documented or path == "/" else f"{path}`"
    assert spelled in PAGE


def test_no_route_is_left_over() -> None:
    """Each route that the page names exists."""
    named = set(re.findall(r"`(GET|POST) (/[^`?]*)`", PAGE))
    assert named - {(op.method, path) for op in OPERATIONS for path in (op.path, *op.aliases)} == set()


@pytest.mark.parametrize("status", GENERAL)
def test_every_general_answer_is_documented(status: int) -> None:
    """Each status that every operation may answer with has its row."""
    assert re.search(rf"^\| {status} \|", PAGE, re.MULTILINE)
