"""What a CSV file says about being read whole: growing, rewritten, left in the middle, in any order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.files.detect import ReadingRules
from kasparro_adapters.files.opening import OpenFile
from kasparro_adapters.files.position import Position
from kasparro_adapters.files.reading import FileRead, ReadTask
from kasparro_core.model import NOTHING, Extent

NOW = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = st.lists(st.integers(0, 30), max_size=7)


class Reader:
    """Runs over one file. `shown` are the keys since the newest listing began (None: none has), `ended` says whether it
    has ended."""

    def __init__(self, path: Path, batch_rows: int) -> None:
        self._path = path
        self._batch_rows = batch_rows
        self._known: Position | None = None
        self.shown: set[str] | None = None
        self.ended = False

    def run(self, most: int | None = None) -> None:
        """Read on, but not more than so many batches."""
        task = ReadTask(ReadingRules(delimiter=",", header=True), "rules", self._batch_rows, NOW, "f.csv", self._known)
        with self._path.open("rb") as raw:
            for number, batch in enumerate(FileRead(OpenFile(raw), task).batches()):
                if number == most:
                    return
                if Extent.FIRST in batch.extent:
                    self.shown, self.ended = set(), False
                assert (batch.same_as == NOTHING) == (batch.raw is None)
                if self.shown is not None:
                    self.shown |= {item.data["id"] for item in batch.items}
                self.ended |= Extent.LAST in batch.extent
                self._known = Position.parse(batch.cursor, "test", "")


def _append(path: Path, numbers: list[int]) -> None:
    with path.open("a") as file:
        file.writelines(f"{number},x\n" for number in numbers)


def _rewrite(path: Path, numbers: list[int]) -> None:
    path.write_text("id,name\n" + "".join(f"{number},x\n" for number in numbers))


@given(
    st.lists(st.tuples(st.sampled_from([_append, _rewrite]), ROWS, st.sampled_from([None, None, 0, 1, 2])), max_size=6),
    st.integers(1, 3),
)
def test_a_listing_that_has_ended_has_shown_every_row(
    story: list[tuple[Callable[[Path, list[int]], None], list[int], int | None]], batch_rows: int
) -> None:
    """Of whatever was appended, rewritten and read in part: when a run has come to its end, so has the listing, and
    what it has shown since it began are the rows of the file, no more and no less."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f.csv")
        _rewrite(path, [1, 2, 3])
        reader = Reader(path, batch_rows)
        for number, (change, numbers, most) in enumerate(story):
            change(path, [*numbers, 100 + number])  # never the same size with the same bytes by chance
            reader.run(most)
        reader.run()
        assert reader.ended
        assert reader.shown == {line.split(",")[0] for line in path.read_text().splitlines()[1:]}


def test_a_row_that_waits_holds_the_listing_open(tmp_path: Path) -> None:
    """Half a row at the end may become any: the listing ends when it does."""
    path = tmp_path / "f.csv"
    path.write_text("id,name\n1,x\n2")
    reader = Reader(path, 10)
    reader.run()
    assert not reader.ended
    with path.open("a") as file:
        file.write("3,x\n")
    reader.run()
    assert (reader.ended, reader.shown) == (True, {"1", "23"})
