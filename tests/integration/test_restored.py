"""An older copy of the database is put back: runs go on from what it holds, without loss and without doubles."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from children import Folder
from ledger import faults, query
from postgres import Server
from served import starting, until
from walked import SIZE, Walked, walking

ROWS = [{"id": f"row-{n}", "price": n, "at": f"2026-01-01T00:0{n}:00Z"} for n in range(2 * SIZE)]
OTHERS = """
[sources.rows]
type = "csv"
path = "rows.csv"
[sources.rows.mapping]
key = "id"
value = "price"

[sources.news]
type = "feed"
url = "news.xml"
"""
INCREMENTAL = 'incremental = { cursor = "at", param = "since" }'
POSIX = pytest.mark.skipif(
    sys.platform == "win32", reason="open files cannot be replaced there, and signals are POSIX's"
)


@pytest.fixture
def upstream() -> Iterator[Walked]:
    with walking(Walked([*ROWS])) as walked:
        yield walked


class World:
    """Three kinds of source that grow by a row each between two runs."""

    def __init__(self, directory: Path, database: str, upstream: Walked) -> None:
        self.directory = directory
        self.upstream = upstream
        self.folder = Folder(directory, database, upstream.config("page", INCREMENTAL) + OTHERS)
        self.grown = 0
        (directory / "rows.csv").write_text("id,price\nrow-0,0\n", encoding="utf-8")
        self._feed()

    @property
    def keys(self) -> dict[str, set[str]]:
        """What each source holds by now."""
        more = [f"more-{n}" for n in range(1, self.grown + 1)]
        return {
            "page": {str(row["id"]) for row in self.upstream.rows},
            "rows": {"row-0", *more},
            "news": {"row-0", *more},
        }

    def grow(self) -> None:
        """One more row in each source."""
        self.grown += 1
        row = {"id": f"more-{self.grown}", "price": 1, "at": f"2026-01-02T00:0{self.grown}:00Z"}
        self.upstream.rows = [*self.upstream.rows, row]
        with (self.directory / "rows.csv").open("a", encoding="utf-8") as file:
            file.write(f"more-{self.grown},1\n")
        self._feed()

    def check(self, database: str) -> None:
        """Every record once, every run ended, every counter true."""
        for source, keys in self.keys.items():
            assert faults(database, source, keys) == []

    def _feed(self) -> None:
        names = ["row-0", *(f"more-{n}" for n in range(1, self.grown + 1))]
        items = "".join(f"<item><guid>{name}</guid><title>{name}</title></item>" for name in names)
        text = f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'
        (self.directory / "news.xml").write_text(text, encoding="utf-8")


def copied_file(url: str, directory: Path) -> Callable[[], str]:
    """Copy an SQLite file that nothing has open; what is returned puts the copy back, as a person would."""
    path, copy = Path(url.removeprefix("sqlite:///")), directory / "copy.db"
    shutil.copyfile(path, copy)

    def put_back() -> str:
        for name in (f"{path}-wal", f"{path}-shm"):
            Path(name).unlink(missing_ok=True)
        shutil.copyfile(copy, path)
        return url

    return put_back


def dumped(server: Server, url: str, directory: Path) -> Callable[[], str]:
    """pg_dump; what is returned restores it into an empty database."""
    for program in ("pg_dump", "pg_restore"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}")
    file = directory / "copy.dump"
    taken = subprocess.run(["pg_dump", "-Fc", "-f", file, url], capture_output=True, text=True, check=False)
    if "server version mismatch" in taken.stderr:
        pytest.skip(taken.stderr.splitlines()[0])
    assert taken.returncode == 0, taken.stderr

    def restore() -> str:
        fresh = server.database_url(server.create())
        subprocess.run(["pg_restore", "-d", fresh, file], check=True, capture_output=True)
        return fresh

    return restore


@pytest.fixture(params=["file", pytest.param("pg_dump", marks=pytest.mark.postgres)])
def copying(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[Path], Callable[[], str]]]]:
    """The address of a database, and how to copy it now and put the copy back later."""
    if request.param == "file":
        url = str(request.getfixturevalue("sqlite_url"))
        yield url, lambda directory: copied_file(url, directory)
        return
    server: Server = request.getfixturevalue("postgres_server")
    url, made = str(request.getfixturevalue("postgres_url")), []

    def copy(directory: Path) -> Callable[[], str]:
        how = dumped(server, url, directory)

        def back() -> str:
            made.append(how())
            return made[-1]

        return back

    yield url, copy
    for each in made:
        server.drop(urlsplit(each).path.strip("/"))


def test_runs_go_on_from_what_an_older_copy_holds(
    copying: tuple[str, Callable[[Path], Callable[[], str]]], tmp_path: Path, upstream: Walked
) -> None:
    """A copy is made after run 1 and put back after runs 2 and 3: the next run asks from the mark of run 1, and brings
    what runs 2 and 3 had brought; nothing is doubled, and one more run finds nothing new."""
    url, copy = copying
    world = World(tmp_path, url, upstream)
    world.folder.run()
    back = copy(tmp_path)
    for _ in range(2):
        world.grow()
        world.folder.run()
    world.check(url)
    restored = back()
    world.grow()
    world.folder.database = restored
    upstream.forget()
    outcome = world.folder.run()
    assert set(upstream.since) == {"2026-01-01T00:05:00Z"}
    assert {name: each["inserted"] for name, each in outcome.items()} == {"page": 3, "rows": 3, "news": 3}
    world.check(restored)
    assert {each["status"] for each in world.folder.run().values()} == {"unchanged"}
    world.check(restored)


@POSIX
def test_a_run_that_was_under_way_when_the_copy_was_made(sqlite_url: str, tmp_path: Path, upstream: Walked) -> None:
    """The copy holds a run that is `running`, of a process that has long ended, and a directory of owners that is not
    of its time: the next run marks it, resumes it in the middle of its walk, and loses nothing."""
    world = World(tmp_path, sqlite_url, upstream)
    copy = tmp_path / "copy.db"

    def hook(_: str, index: int) -> None:
        if index == SIZE and not copy.exists():
            path = sqlite_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(copy)) as taken:
                live.backup(taken)

    upstream.hook = hook
    world.folder.run()
    under_way = query(f"sqlite:///{copy.as_posix()}", "SELECT status FROM runs WHERE source = 'page'")
    assert under_way == [("running",)]
    shutil.copyfile(copy, sqlite_url.removeprefix("sqlite:///"))
    owners = Path(sqlite_url.removeprefix("sqlite:///") + ".owners")
    owners.mkdir(exist_ok=True)
    (owners / "0123456789abcdef.lock").touch()  # of a process of another time
    upstream.forget()
    world.folder.run()
    assert [index for _, index in upstream.asked] == [SIZE, 2 * SIZE]
    world.check(sqlite_url)
    found = query(sqlite_url, "SELECT status, resumes FROM runs WHERE source = 'page' ORDER BY run_id")
    assert [status for status, _ in found] == ["interrupted", "succeeded"]
    assert found[1][1] is not None


@pytest.mark.postgres
def test_a_run_that_was_under_way_when_the_dump_was_made(
    postgres_server: Server, postgres_url: str, tmp_path: Path, upstream: Walked
) -> None:
    """The same with pg_dump, which sees one instant of a database that is being written."""
    world = World(tmp_path, postgres_url, upstream)
    backs: list[Callable[[], str]] = []

    def hook(_: str, index: int) -> None:
        if index == SIZE and not backs:
            backs.append(dumped(postgres_server, postgres_url, tmp_path))

    if shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump")
    upstream.hook = hook
    world.folder.run()
    restored = backs[0]()
    try:
        assert ("running",) in query(restored, "SELECT status FROM runs WHERE source = 'page'")
        world.folder.database = restored
        upstream.forget()
        world.folder.run()
        assert [index for _, index in upstream.asked] == [SIZE, 2 * SIZE]
        world.check(restored)
        found = query(restored, "SELECT status FROM runs WHERE source = 'page' ORDER BY run_id")
        assert found == [("interrupted",), ("succeeded",)]
    finally:
        postgres_server.drop(urlsplit(restored).path.strip("/"))


@POSIX
def test_a_service_goes_on_from_an_older_copy(sqlite_url: str, tmp_path: Path, upstream: Walked) -> None:
    """Stopped, the copy put back, started again: its timed runs bring what the copy lacks."""
    world = World(tmp_path, sqlite_url, upstream)
    text = (tmp_path / "kasparro.toml").read_text(encoding="utf-8")
    head = f'[database]\nurl = {json.dumps(sqlite_url)}\n[defaults]\nschedule = "every 1s"\n'
    (tmp_path / "kasparro.toml").write_text(head + text, encoding="utf-8")
    world.folder.run()
    back = copied_file(sqlite_url, tmp_path)
    with starting() as start:
        for put_back in (None, back):
            if put_back is not None:
                put_back()
            world.grow()
            served = start(tmp_path, "serve", "--port", "0").wait_up()
            until(lambda: _stored(sqlite_url) == world.keys, "all records", served)
            code, _ = served.end(signal.SIGTERM)
            assert code == 0, served.said
            world.check(sqlite_url)


def _stored(url: str) -> dict[str, Any]:
    """The keys of each source's records."""
    found: dict[str, set[str]] = {"page": set(), "rows": set(), "news": set()}
    for source, key in query(url, "SELECT source, key FROM records"):
        found[source].add(key)
    return found
