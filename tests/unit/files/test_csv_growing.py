"""A file that grows by arbitrary pieces, with a run after each: in the end every row was seen, whole."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.files.detect import ReadingRules
from kasparro_adapters.files.opening import OpenFile
from kasparro_adapters.files.position import Position
from kasparro_adapters.files.reading import FileRead, ReadTask

NOW = datetime(2024, 1, 1, tzinfo=UTC)
CELLS = st.text(st.sampled_from('ab"\n\r1.é'), max_size=5)


class Runs:
    """Runs over one file, each from the cursor of the one before; `stored` has the latest cells of each key."""

    def __init__(self, path: Path, batch_rows: int) -> None:
        self._path = path
        self._batch_rows = batch_rows
        self._known: Position | None = None
        self.stored: dict[str, list[str]] = {}
        self.seen = 0
        self.rejected = 0

    def run(self) -> int:
        """How many rows this run saw."""
        rules = ReadingRules(delimiter=",", header=True)
        task = ReadTask(rules, "rules", self._batch_rows, NOW, "f.csv", self._known)
        before = self.seen
        with self._path.open("rb") as raw:
            for batch in FileRead(OpenFile(raw), task).batches():
                self.rejected += len(batch.rejections)
                for item in batch.items:
                    key, *cells = item.data.values()
                    self.stored[key] = cells
                    self.seen += 1
                self._known = Position.parse(batch.cursor, "test", "")
        return self.seen - before


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    ended=st.booleans(),
    batch_rows=st.integers(1, 4),
)
def test_growth_by_arbitrary_pieces_loses_and_invents_nothing(
    rows: list[tuple[str, str]], cuts: list[int], end: str, ended: bool, batch_rows: int
) -> None:
    """Whatever piece of a row a run catches: the store ends with the file's rows, and the last run sees none again.

    (A first run may reject half of a quoted row that was cut at a line end; it is read again when it grows.)
    """
    expected = {str(number): list(cells) for number, cells in enumerate(rows)}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["key", "a", "b"])
    writer.writerows([key, *cells] for key, cells in expected.items())
    data = text.getvalue().encode()
    data = data if ended else data.removesuffix(end.encode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.csv"
        runs = Runs(path, batch_rows)
        for tick, size in enumerate([*sorted({min(cut, len(data)) for cut in cuts} - {len(data)}), len(data)]):
            path.write_bytes(data[:size])
            os.utime(path, (tick, tick))
            runs.run()
        rejected = runs.rejected
        runs.run()
        assert runs.stored == expected
        assert runs.run() == 0
        assert runs.rejected == rejected
