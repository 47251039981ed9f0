"""Score CSV detection and decoding on the Pollock benchmark (PVLDB 16(8)): `python benchmarks/pollock.py [FOLDER]`.

FOLDER holds `polluted_files.tar.xz`, `survey_sample.tar.xz` and `pollock_weights.json` (default: the corpus beside
the repository). Each file is read without any declaration and compared with its clean version by the ten measures of
the benchmark: success, and precision, recall and F1 of header, records and cells. A perfect reader scores 10. Cells
of a ragged row count as read: they stand in its rejection.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kasparro_adapters.files import CsvDecoder
from kasparro_adapters.files.detect import ReadingRules, detect_layout
from kasparro_core.model import RawPayload

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "pollock"
Rows = list[list[str]]


def read(data: bytes) -> Rows:
    """Header and rows as this project reads them, in file order."""
    if not data:
        return []
    layout = detect_layout(data, ReadingRules(), complete=True)
    decoded = CsvDecoder().decode(RawPayload(data, layout.facts(1)))
    rows = {item.index: list(item.data.values()) for item in decoded.items}
    rows |= {r.index: r.payload if isinstance(r.payload, list) else [str(r.payload)] for r in decoded.rejections}
    return [list(layout.header), *(rows[index] for index in sorted(rows))]


def measures(clean: Rows, loaded: Rows) -> list[float]:
    """The ten measures of one file that could be read."""
    if not clean:
        return [1.0] * 10
    head = _prf([_normal(c) for c in clean[0]], [_normal(c) for c in loaded[0]] if loaded else [])
    records = _prf(_records(clean), _records(loaded))
    cells = _prf([c for row in clean for c in row], [c for row in loaded for c in row])
    return [1.0, *head, *records, *cells]


def _records(rows: Rows) -> list[str]:
    return ["".join(map(_normal, row)) for row in rows[1:]]


def _prf(expected: Sequence[str], found: Sequence[str]) -> tuple[float, float, float]:
    if not expected:
        return 1.0, 1.0, 1.0
    common = (Counter(expected) & Counter(found)).total()
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(expected), common / len(found)
    return precision, recall, 2 * precision * recall / (precision + recall)


def _normal(cell: str) -> str:
    """Numbers by value, other text without regard to case."""
    try:
        return str(int(cell))
    except ValueError:
        pass
    try:
        return str(float(cell))
    except ValueError:
        return cell.lower()


def files(archive: Path) -> Iterator[tuple[str, bytes, Rows]]:
    """(name, polluted bytes, clean rows) of every file of an archive."""
    clean: dict[str, Rows] = {}
    polluted: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            path = Path(member.name)
            if content is None or path.parent.name not in ("csv", "clean"):
                continue
            data = content.read()
            if path.parent.name == "csv":
                polluted[path.name] = data
            else:
                clean[path.name] = list(csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"), newline="")))
    for name in sorted(polluted.keys() & clean.keys()):
        yield name, polluted[name], clean[name]


def main(folder: Path, *, verbose: bool) -> int:
    """Print the scores; returns the exit code."""
    if not folder.is_dir():
        print(f"skipped: there is no Pollock corpus at {folder}")
        return 0
    weights: dict[str, float] = json.loads((folder / "pollock_weights.json").read_text())
    for archive, weighted in (("polluted_files", True), ("survey_sample", False)):
        total = [0.0] * 10
        weight_sum = 0.0
        for name, data, clean in files(folder / f"{archive}.tar.xz"):
            weight = weights.get(name, 0.0) if weighted else 1.0
            found = measures(clean, read(data))
            if verbose and sum(found) < 9.7:
                print(f"{sum(found):6.2f} {weight:8.2f} {name}", [round(value, 2) for value in found[3::3]])
            total = [a + weight * b for a, b in zip(total, found, strict=True)]
            weight_sum += weight
        mean = [value / weight_sum for value in total]
        parts = f"F1 of header {mean[3]:.3f}, records {mean[6]:.3f}, cells {mean[9]:.3f}"
        print(f"{archive}: score {sum(mean):.3f} of 10; {parts}")
    return 0


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "-v"]
    sys.exit(main(Path(arguments[0]) if arguments else CORPUS, verbose="-v" in sys.argv))
