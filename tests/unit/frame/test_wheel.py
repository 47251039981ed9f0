"""What a user gets who installs the wheel."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("kasparro_core", "kasparro_adapters", "kasparro_app")
SERVICE = {"api", "serving", "scheduling", "prometheus.py"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as pip builds it; skipped where the build back end can neither be found nor fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for hatchling" in answer.stderr:
        pytest.skip("the build back end hatchling cannot be fetched here")
    assert answer.returncode == 0, answer.stderr
    (path,) = folder.glob("kasparro-*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file(wheel: zipfile.ZipFile) -> None:
    """Every file under src, templates and samples included, is in the wheel, and no code from outside (tests)."""
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {path.relative_to(ROOT / "src").as_posix() for path in files}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile, package: str) -> None:
    """Each package carries py.typed, so that a user's type checker reads the annotations."""
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_wheel_carries_the_migrations(wheel: zipfile.ZipFile) -> None:
    """The migrations travel with the program: without them an installed one could not make its tables."""
    versions = [name for name in wheel.namelist() if re.search(r"sql/migrations/versions/\w+\.py$", name)]
    assert versions
    assert any(name.endswith("sql/migrations/env.py") for name in wheel.namelist())


def test_the_core_needs_pydantic_alone(wheel: zipfile.ZipFile) -> None:
    """Without extras the wheel asks for pydantic (and for zone data on Windows), and for nothing else."""
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    required = re.findall(r"^Requires-Dist: ([\w-]+)(.*)$", wheel.read(metadata).decode(), re.MULTILINE)
    bare = {name for name, rest in required if "extra ==" not in rest}
    assert bare == {"pydantic", "tzdata"}


def test_the_license_travels(wheel: zipfile.ZipFile) -> None:
    """The licence text is in the wheel."""
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_every_direct_requirement_is_pinned() -> None:
    """Each requirement of pyproject.toml has an exact version in constraints.txt, which names no address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    groups.append(project["dependency-groups"]["dev"])
    asked = {normal(requirement) for group in groups for requirement in group} - {"kasparro"}
    pins = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), pins
    assert asked - {normal(pin) for pin in pins} == set()


def test_the_verbs_need_the_extra_cli_alone() -> None:
    """Outside of the service, every library that the program imports comes with the extra `cli`, the drivers of
    databases excepted: installed with it alone, no verb but `serve` lacks anything, the log included."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    given = {normal(one) for name in ("cli", "sql", "http", "csv", "feeds", "postgres") for one in extras[name]}
    needed = {
        name: path.name
        for path in (ROOT / "src" / "kasparro_app").rglob("*.py")
        if not SERVICE & set(path.relative_to(ROOT / "src" / "kasparro_app").parts)
        for name in imported(ast.parse(path.read_text("utf-8")))
    }
    sources = packages_distributions()
    lacking = {name: path for name, path in needed.items() if not given & {normal(one) for one in sources[name]}}
    assert {"structlog", "typer"} <= needed.keys()
    assert lacking == {}


def imported(tree: ast.AST) -> Iterator[str]:
    """The packages of others that a module imports when it runs."""
    own = {*sys.stdlib_module_names, *PACKAGES, "pydantic", "pydantic_core"}
    for node in running(tree):
        if isinstance(node, ast.Import):
            yield from {name.name.partition(".")[0] for name in node.names} - own
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").partition(".")[0]} - own


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those below `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from running(node)


def normal(requirement: str) -> str:
    """The normalized name in a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=;!~]", requirement, maxsplit=1)[0]).lower()
