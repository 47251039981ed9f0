"""The image, as far as it goes without a container engine: the builder's own steps, and what starts from them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from served import Served, until

ROOT = Path(__file__).parents[2]
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.name == "nt" or shutil.which("sh") is None, reason="the Dockerfile's steps need a POSIX shell"
    ),
]


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile, their continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line:
            word, _, rest = line.partition(" ")
            yield word, rest


@dataclass
class Stage:
    """One stage of the Dockerfile."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, word: str) -> str:
        """What the last instruction of that name says."""
        return [rest for name, rest in self.steps if name == word][-1]


def stages() -> list[Stage]:
    """The stages in their order."""
    found: list[Stage] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append(Stage(rest))
        else:
            found[-1].steps.append((word, rest))
    return found


BUILDER, FINAL = stages()


class Machine:
    """Does the steps of a stage in a folder that stands for the root of its file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root

    def inside(self, path: str) -> Path:
        """Where a path of the image lies."""
        return self.root / path.lstrip("/") if path.startswith("/") else self.folder / path

    def do(self, word: str, rest: str) -> None:
        """One instruction; one that this does not know fails the test."""
        {"WORKDIR": self.workdir, "COPY": self.copy, "RUN": self.run}[word](rest)

    def workdir(self, path: str) -> None:
        self.folder = self.inside(path)
        self.folder.mkdir(parents=True, exist_ok=True)

    def copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for name in sources:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.inside(target), ignore=IGNORED)
            else:
                shutil.copy(ROOT / name, self.inside(target))

    def run(self, command: str) -> None:
        command = command.replace("/opt/", f"{self.root}/opt/")
        lent = {"PIP_NO_DEPS": "1"} if " install " in command else {}
        answer = subprocess.run(
            ["sh", "-ec", command],
            cwd=self.folder,
            env={**environment(), **lent},
            capture_output=True,
            text=True,
            check=False,
        )
        if "No matching distribution found for hatchling" in answer.stderr:
            pytest.skip("the build back end hatchling cannot be fetched here")
        assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"


def environment() -> dict[str, str]:
    """`python` is the interpreter of the tests, and nothing of this project is set."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KASPARRO_", "PYTHON"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**ours, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the builder makes. The libraries are those of the tests, lent to it instead of installed."""
    machine = Machine(tmp_path_factory.mktemp("image"))
    for word, rest in BUILDER.steps:
        machine.do(word, rest)
    (copied,) = [rest.split() for word, rest in FINAL.steps if word == "COPY"]
    assert copied[0] == "--from=builder"
    assert copied[1] == copied[2], "an environment works where it was made"
    made = machine.inside(copied[1])
    (packages,) = made.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return made


def started(built: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The image's entry point with these arguments, in an empty folder."""
    command = [str(built / "bin" / name) for name in json.loads(FINAL.last("ENTRYPOINT"))]
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_the_builder_makes_what_the_repository_holds(built: Path) -> None:
    """Every file of the three packages, templates, static files and migrations included, is installed as it stands."""
    (packages,) = built.glob("lib/python*/site-packages")
    source = built.parents[1] / "build" / "src"
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    assert files
    assert {path for path in files if not (packages / path).is_file()} == set()
    assert [path for path in files if (packages / path).read_bytes() != (source / path).read_bytes()] == []


def test_the_environment_has_no_pip(built: Path) -> None:
    """Nothing can be installed into a running container."""
    assert not list((built / "bin").glob("pip*"))
    (packages,) = built.glob("lib/python*/site-packages")
    assert not (packages / "pip").exists()


def test_the_program_of_the_image_is_the_installed_one(built: Path, tmp_path: Path) -> None:
    """The entry point runs the wheel's code and not the repository's, and knows its version."""
    code = "import kasparro_app, kasparro_core; print(kasparro_app.__file__, kasparro_core.__file__, sep='\\n')"
    python = [str(built / "bin" / "python"), "-c", code]
    places = subprocess.run(python, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True).stdout
    assert all(Path(place).is_relative_to(built) for place in places.splitlines())
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version
    assert started(built, tmp_path, "--version").stdout == f"kasparro {version[1]}\n"


def test_the_image_starts_the_service(built: Path, tmp_path: Path) -> None:
    """The image's command is a verb with options that the installed program knows."""
    verb, *options = json.loads(FINAL.last("CMD"))
    answer = started(built, tmp_path, verb, "--help")
    assert answer.returncode == 0, answer.stderr
    for option in (one for one in options if one.startswith("--")):
        assert option in answer.stdout


def settings_of_the_image() -> dict[str, str]:
    """What ENV sets, but for the path, which leads into the image."""
    pairs = [pair.partition("=") for pair in shlex.split(FINAL.last("ENV"))]
    return {name: value for name, _, value in pairs if name != "PATH"}


def test_the_image_serves(built: Path, tmp_path: Path) -> None:
    """The image's own command, with its variables, serves pages from the templates and static files of the wheel, logs
    JSON, is found well by the image's health check, and ends with 0 on the image's signal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "kasparro.toml").write_text(f"[api]\nport = {port}\n")
    program = [str(built / "bin" / name) for name in json.loads(FINAL.last("ENTRYPOINT"))]
    command = ["127.0.0.1" if word == "0.0.0.0" else word for word in json.loads(FINAL.last("CMD"))]
    variables = {**environment(), **settings_of_the_image()}
    child = subprocess.Popen(
        [*program, *command],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    served = Served(child)
    try:
        served.wait_up()
        until(lambda: served.get("/health/ready").status == 200, "readiness", served)
        for page in ("/", "/docs", "/redoc", "/openapi.json", "/metrics"):
            assert served.get(page).status == 200, page
        _, *check = json.loads(FINAL.last("HEALTHCHECK").partition("CMD")[2])
        answer = started(built, tmp_path, *check)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        code, took = served.end(signal.Signals[FINAL.last("STOPSIGNAL")])
        assert (code, took < 10) == (0, True), served.said
    finally:
        child.kill()
        child.communicate()
    assert [json.loads(line)["level"] for line in served.lines[1:]]


def test_the_health_check_answers(built: Path, tmp_path: Path) -> None:
    """The health check of the image says by its exit code, and in a sentence, that no service answers."""
    command = json.loads(FINAL.last("HEALTHCHECK").partition("CMD")[2])
    program, *arguments = command
    assert [program] == json.loads(FINAL.last("ENTRYPOINT"))
    (tmp_path / "kasparro.toml").write_text("[api]\nport = 9\n")
    answer = started(built, tmp_path, *arguments)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert answer.stderr.strip()
    assert "Traceback" not in answer.stderr


def test_the_migrations_of_the_image_make_the_tables(built: Path, tmp_path: Path) -> None:
    """`migrate` from the installed wheel makes a database of the newest version, which `doctor` finds in order."""
    for verb in ("migrate", "doctor"):
        answer = started(built, tmp_path, verb)
        assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (tmp_path / "kasparro.db").is_file()


def test_the_build_context_holds_what_is_copied() -> None:
    """Everything that the builder copies is let through by .dockerignore, and nothing else but a configuration."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        name.removeprefix("./") for word, rest in BUILDER.steps if word == "COPY" for name in shlex.split(rest)[:-1]
    }
    assert lines[1] == "*"
    assert copied <= allowed
    assert allowed - copied == {"kasparro.toml"}
