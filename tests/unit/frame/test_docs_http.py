"""The HTTP reference and the routes say the same."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from kasparro_app.api.auth import HEADERS
from kasparro_app.api.errors import problem_body
from kasparro_app.api.general_answers import GENERAL
from kasparro_app.api.operation import Operation, Parameters
from kasparro_app.api.problems import Problem
from kasparro_app.api.registry import OPERATIONS
from kasparro_core.model import EventType

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
PAGE = (REFERENCE / "http.md").read_text("utf-8")
SERVICE = (REFERENCE / "http-service.md").read_text("utf-8")
ALL = "\n".join(page.read_text("utf-8") for page in sorted(REFERENCE.glob("http*.md")))
HEADER = re.compile(r'"((?:X|RateLimit|Idempoten\w+|Last-Event|Retry|WWW)-[A-Za-z0-9-]+)"')
FOR_BROWSERS = {"X-Content-Type-Options", "X-Frame-Options", "X-Accel-Buffering"}
"""Headers that tell browsers and proxies what not to do; the page says that in words."""
ADDRESS = re.compile(r"(?:\$URL|http://127\.0\.0\.1:8000)(/[^\s\"'`?<>)]*)(?:\?([^\s\"'`<>)]*))?")
ROUTES = [pytest.param(op, path, id=f"{op.method} {path}") for op in OPERATIONS for path in (op.path, *op.aliases)]


def names(model: type[Parameters] | None) -> set[str]:
    """The parameters of a model as a caller spells them."""
    return {field.alias or name for name, field in model.model_fields.items()} if model else set()


@pytest.mark.parametrize(("operation", "path"), ROUTES)
def test_every_route_is_documented(operation: Operation, path: str) -> None:
    """Each path stands on the page by its method; what only serves a page of ours, by its path."""
    spelled = f"`{operation.method} {path}`" if operation.documented or path == "/" else f"{path}`"
    assert spelled in PAGE


def test_no_route_is_left_over() -> None:
    """Each route that the page names exists."""
    named = set(re.findall(r"`(GET|POST) (/[^`?]*)`", PAGE))
    assert named - {(op.method, path) for op in OPERATIONS for path in (op.path, *op.aliases)} == set()


def test_every_address_in_an_example_can_be_asked() -> None:
    """Each address of the service in README and documentation is a route, with parameters that it takes."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    asked = [found for page in pages for found in ADDRESS.findall(page.read_text("utf-8"))]
    assert len(asked) > 10
    assert [f"{path}?{query}" for path, query in asked if not can_be_asked(path, query)] == []


def can_be_asked(path: str, query: str) -> bool:
    """Whether some operation has that path and knows those parameters."""
    given = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    fitting = (
        op
        for op in OPERATIONS
        for one in (op.path, *op.aliases)
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), path)
    )
    return any(given <= names(op.query) for op in fitting)


@pytest.mark.parametrize("status", GENERAL)
def test_every_general_answer_is_documented(status: int) -> None:
    """Each status that every operation may answer with has its row."""
    assert re.search(rf"^\| {status} \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    "operation", [op for op in OPERATIONS if op.documented], ids=lambda op: f"{op.method} {op.path}"
)
def test_every_parameter_is_documented(operation: Operation) -> None:
    """Each parameter and each header that an operation reads stands in the reference by its name."""
    asked = names(operation.query) | names(operation.headers)
    assert {name for name in asked if not re.search(rf"[`?&]{re.escape(name)}[`=:]", ALL)} == set()


def test_every_type_of_problem_is_documented() -> None:
    """The table of types is that of the problems that the source text raises with a title of their own."""
    texts = [path.read_text("utf-8") for path in (ROOT / "src/kasparro_app/api").rglob("*.py")]
    made = [pair for text in texts for pair in re.findall(r'Problem\(\s*(\d+),\s*"([^"]+)"', text)]
    made += [("503", title) for text in texts for title in re.findall(r'_unavailable\("([^"]+)"', text)]
    types = {problem_body(Problem(int(status), title, ""), "")["type"] for status, title in made}
    front = (ROOT / "src/kasparro_app/serving/front.py").read_text("utf-8")
    types |= set(re.findall(r'"type": "(urn:[^"]+)"', front))
    rows = re.findall(r"^\| (`[a-z`, -]+) \| \d{3} \|", PAGE, re.MULTILINE)
    stated = {f"urn:kasparro:problem:{word}" for row in rows for word in re.findall(r"`([a-z-]+)`", row)}
    assert stated == types - {"about:blank"}


def test_the_parameters_of_data_are_a_table() -> None:
    """The rows of its table are the parameters of /data, no more and no fewer."""
    (data,) = [operation for operation in OPERATIONS if operation.path == "/data"]
    table = ALL.partition("## Parameters of /data")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} - {"or", "and"} == names(data.query)


def test_every_header_is_documented() -> None:
    """Each header of ours that the API sets or reads stands in the reference."""
    spelled = {
        name
        for path in (ROOT / "src/kasparro_app/api").rglob("*.py")
        for name in HEADER.findall(path.read_text("utf-8"))
    }
    assert {"X-Request-ID", "X-Next-Seq", "RateLimit-Limit", "Idempotency-Key"} <= spelled
    assert {name for name in spelled - FOR_BROWSERS if f"`{name}" not in ALL} == set()
    assert {name for name in HEADERS if f"`{name}:" not in ALL.lower()} == set()


@pytest.mark.parametrize("kind", EventType)
def test_every_event_is_documented(kind: EventType) -> None:
    """Each type of event has its row in the table of /events, and stands on the page of tables."""
    assert re.search(rf"^\| [^|]*`{re.escape(kind)}`", SERVICE, re.MULTILINE)
    assert f"`{kind}`" in (REFERENCE / "tables.md").read_text("utf-8")
