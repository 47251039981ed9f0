"""Files stay in their folder: `..`, absolute paths, links, devices, pipes, and all that a list of tricks knows."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError
from scripted import SteppingClock
from traced import SUPPORT, needs_strace, traced

from kasparro_adapters import confine
from kasparro_adapters.confine import device_name, inside, open_inside
from kasparro_adapters.feeds import FeedSource, FeedSourceConfig
from kasparro_adapters.files import CsvSource, CsvSourceConfig
from kasparro_core.errors import SourceError
from kasparro_core.ports import ReadContext

CLOCK = SteppingClock()
SECRET = "id,price\nsecret,1\n"
posix = pytest.mark.skipif(os.name == "nt", reason="needs links, pipes and devices of POSIX")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the configuration, with one file, beside a secret one."""
    (tmp_path / "root" / "data").mkdir(parents=True)
    (tmp_path / "root" / "data" / "a.csv").write_text("id,price\na,1\n")
    (tmp_path / "secret.csv").write_text(SECRET)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "b.csv").write_text(SECRET)
    return tmp_path / "root"


async def read(source: Any) -> dict[str, Any]:
    """Each partition's items, or the error in their place; of a list that cannot be made, the error alone."""
    found: dict[str, Any] = {}
    try:
        partitions = await source.partitions()
    except SourceError as error:
        return {"": error}
    for partition in partitions:
        try:
            async with aclosing(cast(Any, source.read(partition, ReadContext(now=CLOCK.now())))) as batches:
                found[partition] = [item.data async for batch in batches for item in batch.items]
        except SourceError as error:
            found[partition] = error
    return found


def csv(base: Path, path: str, **more: Any) -> CsvSource:
    return CsvSource("prices", CsvSourceConfig(path=path, **more), base, CLOCK)


def feed(base: Path, path: str, **more: Any) -> FeedSource:
    return FeedSource("news", FeedSourceConfig(url=path, **more), base, cast(Any, None), CLOCK)


OUTSIDE = [
    "../secret.csv",
    "data/../../secret.csv",
    "{outside}/secret.csv",
    "{outside}/*.csv",
    "../*.csv",
    "../**/*.csv",
]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_a_path_out_of_the_folder_is_refused(root: Path, path: str) -> None:
    """The error names source, path, folder and the setting; with `root` the same path is read."""
    path = path.replace("{outside}", root.parent.as_posix())
    (error,) = (await read(csv(root, path))).values()
    assert (error.code, error.source) == ("file_outside", "prices")
    assert str(root) in str(error)
    assert "`root` of the source" in str(error)
    assert not [each for each in (await read(csv(root, path, root=".."))).values() if isinstance(each, Exception)]
    if "*" not in path:
        (refused,) = (await read(feed(root, path))).values()
        assert (refused.code, refused.source) == ("file_outside", "news")


async def test_going_back_behind_a_wildcard_is_refused(root: Path) -> None:
    """A pattern that climbs out of what it found is never expanded."""
    (error,) = (await read(csv(root, "*/../../secret.csv"))).values()
    assert error.code == "file_outside"


async def test_what_stays_inside_is_read_however_it_is_written(root: Path) -> None:
    """`..`, absolute paths and deep patterns that stay in the folder are as good as any."""
    for path in ("data/../data/a.csv", str(root / "data" / "a.csv"), "**/a.csv", "**", "data/**/*.csv", "*/a.csv"):
        (items,) = (await read(csv(root, path))).values()
        assert items == [{"id": "a", "price": "1"}], path


@posix
async def test_links_count_as_what_they_lead_to(root: Path) -> None:
    """Inside: read. Outside: each is an error of its own, under every kind of pattern, and the other files are read; no
    folder outside is looked into."""
    data = root / "data"
    (data / "in.csv").symlink_to("a.csv")
    (data / "out.csv").symlink_to("../../secret.csv")
    (data / "twice.csv").symlink_to("out.csv")
    (root / "more").symlink_to(root.parent / "secret")
    (root / "circle").symlink_to(".")
    (data / "nowhere.csv").symlink_to("../../nothing.csv")
    found = await read(csv(root, "data/*.csv"))
    codes = {name: getattr(each, "code", "") for name, each in found.items()}
    assert codes == {
        "data/a.csv": "",
        "data/in.csv": "",
        "data/out.csv": "file_outside",
        "data/twice.csv": "file_outside",
    }
    assert (await read(csv(root, "data/nowhere.csv")))[""].code == "file_outside"
    for pattern in ("*/*.csv", "**/*.csv", "more/*.csv", "m*/b.csv", "**"):
        found = await read(csv(root, pattern))
        refused = {name for name, each in found.items() if getattr(each, "code", "") == "file_outside"}
        assert refused & {"", "more", "more/b.csv"}, pattern
        assert not [each for each in found.values() if each == [{"id": "secret", "price": "1"}]]
    (root / "feed.xml").symlink_to("../secret.csv")
    assert (await read(feed(root, "feed.xml")))[""].code == "file_outside"


@posix
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/dev/zero", "file_not_regular"),
        ("/proc/self/environ", "file_not_regular"),
        ("/sys/kernel/notes", "file_not_regular"),
        ("//server/share/a.csv", "file_outside"),
        ("pipe", "file_not_regular"),
        ("data", "file_is_directory"),
        ("a\0b.csv", "file_path"),
        ("x" * 5000, "file_path"),
        ("data/a.csv/b.csv", "file_path"),
    ],
)
async def test_what_is_no_file_is_not_opened(root: Path, path: str, code: str) -> None:
    """Devices, pipes, the kernel's files and impossible names are refused at once, also where the whole disk is
    allowed: nothing hangs, and nothing is read without end."""
    os.mkfifo(root / "pipe")
    if path.startswith(("/proc", "/sys")) and not Path(path).is_file():
        pytest.skip(f"this machine has no {path}")
    for source in (csv(root, path, root="/"), feed(root, path, root="/")):
        (found,) = (await read(source)).values()
        assert (found.code, found.source) == (code, source.name)


@posix
async def test_a_file_that_is_swapped_for_a_link_meanwhile_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged is what is opened: a link put in its place between the two is not followed."""
    judged = inside

    def swap(path: Path, folder: Path) -> Path:
        real = judged(path, folder)
        real.unlink()
        real.symlink_to(root.parent / "secret.csv")
        return real

    monkeypatch.setattr(confine, "inside", swap)
    with pytest.raises(OSError, match="symbolic links"):
        open_inside(root / "data" / "a.csv", root)


def test_devices_of_windows_are_known_by_name() -> None:
    """Whatever the folder, the ending, the case or the blanks; ordinary names that look alike are none."""
    for name in ("NUL", "con.csv", "data/Aux .txt", "lpt1", "COM¹.csv", "CONIN$", "a.csv:stream", "nul:"):
        assert device_name(Path(name)) is not None, name
    for name in ("null.csv", "console.csv", "com.csv", "com10", "data/auxiliary.csv", "lpt", "a.csv"):
        assert device_name(Path(name)) is None, name


async def test_a_member_of_an_archive_is_only_a_name(root: Path) -> None:
    """Members are read from the archive, whatever they are called; nothing is ever unpacked to where they point."""
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr("../../etc/a.csv", "id,price\nzipped,1\n")
        archive.writestr("/etc/b.csv", "id,price\nother,1\n")
    before = sorted(root.parent.rglob("*"))
    assert await read(csv(root, "a.zip", member="../../etc/a.csv")) == {"": [{"id": "zipped", "price": "1"}]}
    assert (await read(csv(root, "a.zip", member="../../secret.csv")))[""].code == "zip_member"
    assert sorted(root.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://a.example/x.csv", "gopher://a.example/", "data:text,x"]
)
async def test_other_schemes_are_refused(root: Path, address: str) -> None:
    """Only http and https are addresses; anything else is refused, or is the name of no file."""
    for source in (csv, feed):
        try:
            (found,) = (await read(source(root, address))).values()
        except ValidationError:
            continue
        assert found.code == "file_missing"


CHILD = """
import asyncio, json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from scripted import SteppingClock
from test_file_confinement import csv, feed, read
import encodings.idna, encodings.utf_16, encodings.utf_32, encodings.cp1252
root, cases = Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
async def main():
    await read(csv(root, "data/a.csv")), await read(feed(root, "data/a.csv"))
    answers = []
    print(flush=True)
    for case in cases:
        for make in (csv, feed):
            try:
                found = await read(make(root, case))
            except ValueError as error:
                answers.append("configuration")
                continue
            answers += [getattr(each, "code", "READ") for each in found.values()]
    print(json.dumps(answers))
    await read(csv(root, "../secret.csv", root=".."))
asyncio.run(main())
"""


@needs_strace
def test_a_list_of_tricks_opens_nothing_outside(root: Path, tmp_path: Path, shared_data: Callable[..., Path]) -> None:
    """Of every path of a public list, pointed at a file that exists, and as a pattern: a typed error, no file outside
    of the folder opened, no socket, no program started, seen by the system calls; a file that may be read is seen."""
    lines = shared_data("corpora", "security", "path_traversal.jsonl").read_text("utf-8").splitlines()
    listed = [json.loads(line)["p"] for line in lines]
    target = (root.parent / "secret.csv").as_posix().lstrip("/")
    cases = [path for path in dict.fromkeys(each.replace("{FILE}", target) for each in listed) if path]
    patterns = [f"{path}*" for path in cases[::10]]
    (tmp_path / "cases.json").write_text(json.dumps([*cases, *patterns]))
    places = [str(Path(__file__).parent), str(SUPPORT)]
    printed, calls = traced(CHILD, tmp_path, json.dumps(places), str(root), str(tmp_path / "cases.json"))
    answers = json.loads(printed.strip().splitlines()[-1])
    begun = next(at for at, line in enumerate(calls) if f'{root}/data/a.csv"' in line)
    *outside, control = [line for line in calls[begun:] if str(root) not in line]
    sys.stdout.write(f"{len(listed)} paths, {len(answers)} refusals, {len(outside)} files or sockets\n")
    assert len(listed) > 1000
    assert len(answers) >= 2 * len(cases)
    assert set(answers) <= {"file_outside", "file_missing", "file_path", "file_is_directory", "configuration"}
    assert outside == []
    assert f'{root.parent}/secret.csv"' in control
