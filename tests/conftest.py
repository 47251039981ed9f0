"""What all tests share: databases, the guard against the outside, leak checks, Hypothesis profiles."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from guard import nothing_leaves
from hypothesis import settings
from postgres import URL_VARIABLE, Server, run, server

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("default", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("KASPARRO_HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    """A suite in the background of a shell ignores Ctrl-C, and its children would inherit that: they are sent it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    """Fail every test that tried to reach another machine, also when the attempt was swallowed."""
    with nothing_leaves(URL_VARIABLE) as refused:
        yield
    assert not refused, f"the test tried to leave this machine: {refused}"


@pytest.fixture(autouse=True)
def _nothing_is_left_running(request: pytest.FixtureRequest) -> None:
    """Have asynchronous tests checked for tasks that outlive them."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_no_pending_tasks")


@pytest.fixture
async def _no_pending_tasks() -> AsyncIterator[None]:
    yield
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    assert not pending, f"tasks outlive their test: {pending}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One PostgreSQL server for this test process."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: Server) -> Iterator[str]:
    """A migrated database that is copied for each test."""
    name = postgres_server.create()
    _migrate(postgres_server.database_url(name))
    yield name
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: Server, _postgres_template: str) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database; fails a test that leaves a transaction open in it."""
    name = postgres_server.create(template=_postgres_template)
    yield postgres_server.database_url(name)
    _give_back(postgres_server, name)


@pytest.fixture
def empty_postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a PostgreSQL database without any table."""
    name = postgres_server.create()
    yield postgres_server.database_url(name)
    _give_back(postgres_server, name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that is copied for each test."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    _migrate(f"sqlite:///{path.as_posix()}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """The URL of a fresh, migrated SQLite file."""
    path = tmp_path / "kasparro.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path.as_posix()}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database: the test runs once per kind."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[..., Path]:
    """Finds data beside the repository: `shared_data("data", "csv")`; skips where it is absent."""

    def find(*parts: str) -> Path:
        path = ROOT.parent.joinpath("shared", *parts)
        if not path.exists():
            pytest.skip(f"no {'/'.join(parts)} in a directory `shared` beside the repository")
        return path

    return find


def _migrate(url: str) -> None:
    from kasparro_adapters.sql import SqlStore

    async def migrate() -> None:
        store = SqlStore(url)
        await store.migrate()
        await store.close()

    run(migrate)


def _give_back(postgres: Server, name: str) -> None:
    """Drop a test's database. A process that was killed is given a moment: its session ends right after it."""
    deadline = time.monotonic() + 5
    while (left := postgres.open_transactions(name)) and time.monotonic() < deadline:
        time.sleep(0.05)
    postgres.drop(name)
    assert not left, f"the test left transactions open: {left}"
