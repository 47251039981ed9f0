"""A disk that is full: a real one of 4 MB, one that strace makes of any, SQLite's own limit, and PostgreSQL's error.

KASPARRO_CRASH_DISKS: at how many random writes strace lets the disk be full (1; `make crash`: 50).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_storm import NEEDS_POSIX
from storm_look import execute
from storm_market import Ended, Market, ended, market
from storm_plan import replayable, seeds, tell

pytestmark = [NEEDS_POSIX, pytest.mark.slow, pytest.mark.timeout(300)]

DISKS = seeds("KASPARRO_CRASH_DISKS", 1)
PAGE = 100
PAGES = 20
ROWS = [{"id": f"coin-{n}", "price": f"{n}.5", "name": f"{n} " * 250} for n in range(PAGES * PAGE - 1)]
"""Some 600 KB in the database for each page."""
FULL = "has no disk space left. Free some space and run again: it goes on where it stopped."


def _fails_clearly(place: Market, end: Ended) -> None:
    """Exit code 1, one sentence that names the database and says what to do, and nothing half-written."""
    assert end.code == 1, end
    said = " ".join(end.err.split())
    assert re.search(rf"The database {re.escape(place.database.split('@')[0])}\S* {re.escape(FULL)}", said), end
    assert place.faults_on_the_way() == []


def _comes_through(place: Market) -> int:
    """Once there is room the next run exits 0, and everything is there once. Returns how many pages had been kept."""
    asked = len(place.upstream.asked)
    end = place.run()
    assert end.code == 0, end
    assert place.faults() == []
    return PAGES - (len(place.upstream.asked) - asked)


class SmallDisk:
    """A disk of 4 MB in a name space of its own, gone with the process that holds it. What runs there is entered by
    `way`; its files are seen from outside at `seen`, but SQLite would follow that link back to where nothing is."""

    def __init__(self, where: Path) -> None:
        where.mkdir()
        self.where = where
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _HOLD, str(where)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.mounted = self._says("mounted")
        self.seen = Path(f"/proc/{self._holder.pid}/root{where}")

    def way(self, folder: Path) -> list[str]:
        """What stands in front of a command that is to run there, in a folder."""
        enter = 'cd "$0" && exec "$@"'
        return ["nsenter", "--mount", "--target", str(self._holder.pid), "sh", "-c", enter, str(folder)]

    def free(self) -> int:
        """Bytes that are left."""
        found = os.statvfs(self.seen)
        return found.f_bavail * found.f_frsize

    def grow(self) -> None:
        """Make it large enough for everything."""
        self._holder.stdin.write("\n")  # type: ignore[union-attr]
        self._holder.stdin.flush()  # type: ignore[union-attr]
        assert self._says("larger")

    def end(self) -> None:
        """Give it up, with its files."""
        self._holder.communicate()

    def _says(self, word: str) -> bool:
        return self._holder.stdout.readline() == f"{word}\n"  # type: ignore[union-attr]


_HOLD = (
    'mount -t tmpfs -o size=4m tmpfs "$0" && echo mounted && read _ &&'
    ' mount -o remount,size=256m "$0" && echo larger && read _'
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that fills up, where mounting is allowed."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("a small disk is made by unshare and mount, of Linux")
    disk = SmallDisk(tmp_path / "disk")
    if not disk.mounted:
        disk.end()
        pytest.skip("mounting a disk is not allowed here")
    yield disk
    disk.end()


def test_a_disk_of_four_megabytes_fills_up_and_is_made_larger(
    sqlite_url: str, tmp_path: Path, small_disk: SmallDisk, request: pytest.FixtureRequest
) -> None:
    """SQLite on a real disk that is too small: the run fails with one sentence, what was committed stays, and with room
    the next run goes on from there."""
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), small_disk.seen / "kasparro.db")
    with market(tmp_path / "home", f"sqlite:///{small_disk.where}/kasparro.db", ROWS, PAGE) as place:
        place.before = small_disk.way(place.folder)
        end = place.run()
        free = small_disk.free()
        place.looked_at = _copied(small_disk, tmp_path / "when_full")
        _fails_clearly(place, end)
        small_disk.grow()
        asked = len(place.upstream.asked)
        end = place.run()
        assert end.code == 0, end
        place.looked_at = _copied(small_disk, tmp_path / "with_room")
        kept = PAGES - (len(place.upstream.asked) - asked)
        tell(request, bytes_free_when_full=free, pages_kept=kept)
        assert kept > 0
        assert place.faults() == []


def _copied(disk: SmallDisk, to: Path) -> str:
    """The database as it lies on the disk, for the oracle."""
    to.mkdir()
    for file in disk.seen.glob("kasparro.db*"):
        if file.is_file():
            shutil.copy(file, to)
    return f"sqlite:///{to}/kasparro.db"


def test_a_file_that_may_not_grow_any_more_is_a_full_disk(
    sqlite_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """SQLite's own limit (max_page_count): the same sentence, the same way on."""
    with market(tmp_path / "home", sqlite_url, ROWS, PAGE) as place:
        _fails_clearly(place, place.run(pages=1000.0))
        kept = _comes_through(place)
        tell(request, pages_kept=kept)
        assert kept > 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace lets the writes fail")
@pytest.mark.parametrize("seed", DISKS)
def test_a_disk_that_is_full_from_any_write_on(
    seed: int, sqlite_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """From the n-th write on every one fails with ENOSPC, the n-th being random: the end of the run too cannot be
    written then, and still the next one needs nobody's help."""
    chance, void, log = random.Random(seed), 0, tmp_path / "strace"
    with replayable(request, seed), market(tmp_path / "home", sqlite_url, ROWS, PAGE) as place:
        while True:
            number = chance.randint(1, 2000)
            end = ended(place.start(before=_full_from(number, log)))
            if "INJECTED" in log.read_text():
                break
            void += 1
            place.upstream.rows = [{**row, "price": f"{void}.25"} for row in ROWS]  # something new to write
        _fails_clearly(place, end)
        kept = _comes_through(place)
        tell(request, full_from_write=number, pages_kept=kept, void=void)


def _full_from(number: int, log: Path) -> list[str]:
    """strace, which lets the n-th write into a file at a place, and all after it, fail."""
    writes = "pwrite64,fallocate,ftruncate"
    return [
        *("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={writes}"),
        *("-e", f"inject={writes}:error=ENOSPC:when={number}+"),
    ]


@pytest.mark.postgres
def test_a_full_disk_of_postgresql_is_one_clear_sentence(
    postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """SQLSTATE 53100 in the middle of a batch: the same sentence, the same way on."""
    with market(tmp_path / "home", postgres_url, ROWS, PAGE) as place:
        execute(postgres_url, _NO_ROOM, _NO_ROOM_FROM)
        _fails_clearly(place, place.run())
        execute(postgres_url, "DROP FUNCTION no_room CASCADE")
        kept = _comes_through(place)
        tell(request, pages_kept=kept)
        assert kept == 7


_NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = '53100';
END $$
"""
_NO_ROOM_FROM = """
CREATE TRIGGER no_room BEFORE INSERT ON records FOR EACH ROW WHEN (NEW.key = 'coin-750')
EXECUTE FUNCTION no_room()
"""
