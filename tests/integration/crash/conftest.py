"""What storms of crashes share: a database made anew for each try, the starter of processes, a line on the screen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from crash_storm import Storm
from crash_world import Place, Runs, Size, World, runs, upstream_of
from postgres import Server
from upstream import Upstream, serving


@pytest.fixture(scope="module")
def crash_runs() -> Iterator[Runs]:
    """One starter of processes for all storms of a module."""
    with runs() as starter:
        yield starter


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    """Each storm runs once per kind of database."""
    return str(request.param)


@pytest.fixture
def fresh(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Place]:
    """Makes worlds, one after the other in one directory: the last one is gone once the next is made."""
    database = (_sqlite if kind == "sqlite" else _postgres)(request, tmp_path)
    upstreams: dict[Size, Upstream] = {}
    with ExitStack() as open_ones, ExitStack() as last:

        def place(size: Size, paging: str = "page", /, *, tables: bool = True) -> World:
            last.close()
            if size not in upstreams:
                upstreams[size] = open_ones.enter_context(serving(upstream_of(size)))
            upstreams[size].begin_anew()
            return World(tmp_path, last.enter_context(database(tables=tables)), upstreams[size], size, paging)

        yield place


@pytest.fixture
def storm(request: pytest.FixtureRequest, kind: str) -> Storm:
    """The counts of a storm, named after its test."""
    return Storm(f"{request.node.originalname.removeprefix('test_').replace('_', ' ')}, {kind}", request.node.nodeid)


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Writes a line past pytest, to where a person sees it."""

    def write(line: str) -> None:
        with capfd.disabled():
            sys.stderr.write(f"\n{line}\n")
            sys.stderr.flush()

    return write


def _sqlite(request: pytest.FixtureRequest, directory: Path) -> Callable[..., AbstractContextManager[str]]:
    template: Path = request.getfixturevalue("_sqlite_template")

    @contextmanager
    def database(*, tables: bool) -> Iterator[str]:
        path = directory / "kasparro.db"
        for left in directory.glob("kasparro.db*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if tables:
            shutil.copyfile(template, path)
        yield f"sqlite:///{path.as_posix()}"

    return database


def _postgres(request: pytest.FixtureRequest, directory: Path) -> Callable[..., AbstractContextManager[str]]:
    server: Server = request.getfixturevalue("postgres_server")
    template: str = request.getfixturevalue("_postgres_template")

    @contextmanager
    def database(*, tables: bool) -> Iterator[str]:
        name = server.create(template=template if tables else None)
        yield server.database_url(name)
        server.drop(name)

    return database
