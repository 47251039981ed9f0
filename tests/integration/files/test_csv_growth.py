"""Reading on: what a second run makes of a file that is as it was, grew, was torn, or was written anew."""

from __future__ import annotations

import gzip
import os
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from scripted import SteppingClock

from kasparro_adapters.files import CsvSource, CsvSourceConfig
from kasparro_core.errors import CheckpointError, TransientSourceError
from kasparro_core.model import Batch
from kasparro_core.ports import ReadContext

CLOCK = SteppingClock()


class File:
    """A file that grows, and the runs over it: each starts from the cursor that the one before left."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.path = root / "prices.csv"
        self.config = CsvSourceConfig(path="prices.csv", **options)
        self.cursor: Any = None
        self._ticks = 1_700_000_000

    def write(self, data: bytes) -> None:
        """Replace the content, at a time of its own."""
        self.path.write_bytes(data)
        self.touch()

    def append(self, data: bytes) -> None:
        self.write(self.path.read_bytes() + data)

    def touch(self) -> None:
        self._ticks += 10
        os.utime(self.path, (self._ticks, self._ticks))

    async def batches(self, *, full: bool = False) -> list[Batch]:
        source = CsvSource("prices", self.config, self.path.parent, CLOCK)
        reading = cast(Any, source.read("", ReadContext(now=CLOCK.now(), cursor=self.cursor, full=full)))
        async with aclosing(reading):
            found = [batch async for batch in reading]
        if found:
            self.cursor = found[-1].cursor
        return found

    async def run(self, *, full: bool = False) -> list[str]:
        """The rows that a run sees; a rejected one as `!line N`."""
        rows: list[tuple[int, int, str]] = []
        for place, batch in enumerate(await self.batches(full=full)):
            rows += [(place, item.index, ",".join(item.data.values())) for item in batch.items]
            rows += [(place, refused.index, f"!{refused.path}") for refused in batch.rejections]
        return [text for _, _, text in sorted(rows)]


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


async def test_an_unchanged_file_yields_nothing_at_all(file: File) -> None:
    """Same size, same time, same bytes: not even an item-less batch."""
    file.write(b"a,b\n1,2\n")
    assert await file.run() == ["1,2"]
    assert await file.batches() == []


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"a,b", b"\n\n"])
async def test_a_file_without_rows_is_no_error_and_is_read_once_rows_come(file: File, content: bytes) -> None:
    """Empty, or a header alone: zero rows; the layout is found when there are rows to look at."""
    file.write(content)
    assert await file.run() == []
    assert await file.batches() == []
    file.write(b"a,b\n1,2\n")
    assert await file.run() == ["1,2"]


async def test_a_file_that_grew_is_read_from_where_it_ended(file: File) -> None:
    """Only the new rows, under their physical line numbers."""
    file.write(b"a,b\n1,2\n3,4\n")
    assert await file.run() == ["1,2", "3,4"]
    file.append(b"5,6\n7\n")
    assert await file.run() == ["5,6", "!line 5"]
    assert await file.run() == []


async def test_growth_is_read_in_utf16_and_latin1(tmp_path: Path) -> None:
    """The encoding found at the start holds for what comes later."""
    for encoding in ("utf-16", "latin-1"):
        file = File(tmp_path)
        file.write("näme;b\n1;é\n".encode(encoding))
        assert await file.run() == ["1,é"]
        file.append("2;ü\n".encode("utf-16-le" if encoding == "utf-16" else encoding))
        assert await file.run() == ["2,ü"]


async def test_a_last_row_without_line_end_is_read_on_the_first_run(file: File) -> None:
    """Many files lack their last line end; their last row counts, once."""
    file.write(b"a,b\n1,2\n3,4")
    assert await file.run() == ["1,2", "3,4"]
    assert await file.batches() == []


async def test_a_last_row_that_was_read_too_early_is_read_again_when_it_grows(file: File) -> None:
    """`12` of `123.45` does not stay: growth starts with the whole row."""
    file.write(b"a,b\n1,2\n3,12")
    assert await file.run() == ["1,2", "3,12"]
    file.append(b"3.45\n5,6\n")
    assert await file.run() == ["3,123.45", "5,6"]


async def test_a_torn_last_line_waits_until_it_is_whole(file: File) -> None:
    """Half a line is not read, neither on the first run nor after growth."""
    file.write(b"a,b\n1,2\n3")
    assert await file.run() == ["1,2"]
    file.append(b",4\n5,6")
    assert await file.run() == ["3,4"]
    file.append(b"7\n")
    assert await file.run() == ["5,67"]


async def test_a_torn_last_line_is_read_when_the_file_stays_as_it_is(file: File) -> None:
    """A run that finds the file unchanged takes the last line for what it is."""
    file.write(b"a,b\n1,2\n")
    await file.run()
    file.append(b"3,4")
    assert await file.run() == []
    assert await file.run() == ["3,4"]
    assert await file.batches() == []
    file.append(b"\n5")
    assert await file.run() == ["3,4"]
    assert await file.run() == ["!line 4"]


async def test_a_torn_quoted_row_waits_as_a_whole(file: File) -> None:
    """A row whose quote is still open is not taken apart at its line ends."""
    file.write(b"a,b\n1,2\n")
    await file.run()
    file.append(b'3,"x\ny')
    assert await file.run() == []
    file.append(b'\nz"\n')
    assert await file.run() == ["3,x\ny\nz"]


async def test_a_stray_quote_does_not_hide_the_rest_of_a_new_file(file: File) -> None:
    """On the first run the rows behind a quote that nobody closed are read at once."""
    file.write(b'a,b\n1,"2\n3,4\n')
    assert await file.run() == ["!line 2", "3,4"]


async def test_full_reads_everything_torn_or_not(file: File) -> None:
    """`full` ignores the position and waits for nothing."""
    file.write(b"a,b\n1,2\n3")
    assert await file.run() == ["1,2"]
    assert await file.run(full=True) == ["1,2", "!line 3"]


@pytest.mark.parametrize(
    "content", [b"a,b\n9,9\n1,2\n3,4\n", b"a,b\n1,2\n", b"a,b\n3,4\n1,2\n", b"b,a\n1,2\n3,4\n5,6\n"]
)
async def test_a_rewritten_file_is_read_again(file: File, content: bytes) -> None:
    """Another start, shorter, or other bytes of the same size: all rows are seen again."""
    file.write(b"a,b\n1,2\n3,4\n")
    await file.run()
    file.write(content)
    rows = content.decode().splitlines()[1:]
    assert await file.run() == rows


async def test_an_edit_in_front_of_the_position_is_seen_in_a_compressed_file(tmp_path: Path) -> None:
    """What has to be decompressed anyway is compared to the last byte, so an edit beyond the fingerprints is found."""
    file = File(tmp_path)
    rows = [f"{number},{number}" for number in range(40_000)]
    text = "a,b\n" + "\n".join(rows) + "\n"
    file.write(gzip.compress(text.encode()))
    assert await file.run() == rows
    file.write(gzip.compress((text + "x,y\n").encode()))
    assert await file.run() == ["x,y"]
    file.write(gzip.compress((text.replace("20000,20000", "20000,20001") + "x,y\n").encode()))
    assert len(await file.run()) == 40_001


async def test_a_compressed_file_that_did_not_change_is_not_opened_twice(tmp_path: Path) -> None:
    """Size and time suffice where the content would have to be decompressed."""
    file = File(tmp_path)
    file.write(gzip.compress(b"a,b\n1,2\n3,4"))
    assert await file.run() == ["1,2", "3,4"]
    assert await file.batches() == []


async def test_other_reading_rules_read_the_file_again(file: File) -> None:
    """A position holds for the rules and the mapping it was made with."""
    file.write(b"a,b\n1,2\n")
    await file.run()
    file.config = CsvSourceConfig(path="prices.csv", columns=["x", "y"], header=True)
    assert await file.run() == ["1,2"]


async def test_a_run_cut_short_goes_on_behind_its_last_batch(tmp_path: Path) -> None:
    """The cursor of every batch resumes exactly there, also when the file has grown meanwhile."""
    file = File(tmp_path, batch_rows=2)
    file.write(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n) for n in range(7)))
    first = (await file.batches())[0]
    file.cursor = first.cursor
    file.append(b"7,7\n")
    assert await file.run() == [f"{n},{n}" for n in range(2, 8)]


async def test_a_file_that_is_rewritten_while_it_is_read_is_a_passing_fault(tmp_path: Path) -> None:
    """The read is not completed on a mix of two files; the next one starts over."""
    file = File(tmp_path, batch_rows=1)
    file.write(b"a,b\n1,2\n3,4\n")
    source = CsvSource("prices", file.config, tmp_path, CLOCK)
    reading = cast(Any, source.read("", ReadContext(now=CLOCK.now())))
    async with aclosing(reading):
        await anext(reading)
        file.write(b"a,b\n5,6\n7,8\n")
        with pytest.raises(TransientSourceError) as caught:
            [batch async for batch in reading]
    assert caught.value.code == "file_changed"
    assert await file.run() == ["5,6", "7,8"]


async def test_growth_while_reading_is_no_fault(tmp_path: Path) -> None:
    """A log that is appended to all the time can be read: nothing is lost over two runs."""
    file = File(tmp_path, batch_rows=1)
    file.write(b"a,b\n1,2\n3,4\n")
    source = CsvSource("prices", file.config, tmp_path, CLOCK)
    reading = cast(Any, source.read("", ReadContext(now=CLOCK.now())))
    seen = []
    async with aclosing(reading):
        async for batch in reading:
            seen += [item.data["a"] for item in batch.items]
            file.cursor = batch.cursor
            if len(seen) == 1:
                file.append(b"5,6\n")
    seen += [row[0] for row in await file.run()]
    assert seen == ["1", "3", "5"]


async def test_a_cursor_of_something_else_is_refused(file: File) -> None:
    """Positions are never guessed."""
    file.write(b"a,b\n1,2\n")
    for cursor in ({"page": 3}, {"v": 99}, {"v": 1, "file": None}):
        file.cursor = cursor
        with pytest.raises(CheckpointError) as caught:
            await file.run()
        assert "state reset" in str(caught.value)


async def test_empty_lines_under_the_header_hide_no_row(tmp_path: Path) -> None:
    """A first batch of nothing but empty lines is passed by: the rows behind it are read, with their own line."""
    file = File(tmp_path, batch_rows=2)
    file.write(b"a,b\n" + b"\n" * 9 + b"1,2\n3,4\n5\n")
    assert await file.run() == ["1,2", "3,4", "!line 13"]
