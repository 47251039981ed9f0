"""The source contract, on real files: plain, compressed and a glob."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted import SteppingClock

from kasparro_adapters.files import CsvDecoder, CsvSource, CsvSourceConfig
from kasparro_core.ports import Source
from kasparro_core.testing.sources import Decoders, Expected, MakeSource, SourceContract

ROWS = [{"a": str(number), "b": f"x{number}\ny"} for number in range(10)]
TEXT = "a,b\r\n" + "".join(f'{row["a"]},"{row["b"]}"\r\n' for row in ROWS)


class FilesContract(SourceContract):
    """Three rows a batch, so that every partition has several."""

    path = ""

    @pytest.fixture
    def decoders(self) -> Decoders:
        return {"csv": CsvDecoder()}

    @pytest.fixture
    def make_source(self, tmp_path: Path) -> MakeSource:
        self.write(tmp_path)
        config = CsvSourceConfig(path=self.path, batch_rows=3)

        def make() -> Source:
            return CsvSource("prices", config, tmp_path, SteppingClock())

        return make

    def write(self, root: Path) -> None:
        raise NotImplementedError


class TestPlainFile(FilesContract):
    """One plain file."""

    path = "prices.csv"

    @pytest.fixture
    def expected(self) -> Expected:
        return {"": ROWS}

    def write(self, root: Path) -> None:
        (root / "prices.csv").write_bytes(TEXT.encode())


class TestUtf16File(TestPlainFile):
    """One plain file in UTF-16 with a byte order mark."""

    def write(self, root: Path) -> None:
        (root / "prices.csv").write_bytes(TEXT.encode("utf-16"))


class TestCompressedFile(TestPlainFile):
    """One file that cannot seek, without a line end at its end."""

    def write(self, root: Path) -> None:
        (root / "prices.csv").write_bytes(gzip.compress(TEXT.encode().rstrip()))


class TestGlob(FilesContract):
    """Files of a glob are partitions by their relative path; directories and other names are not."""

    path = "data/**/*.csv"

    @pytest.fixture
    def expected(self) -> Expected:
        rows: Sequence[dict[str, Any]] = ROWS
        return {"data/a.csv": rows, "data/deep/b.csv": rows[:4]}

    def write(self, root: Path) -> None:
        (root / "data" / "deep").mkdir(parents=True)
        (root / "data" / "folder.csv").mkdir()
        (root / "data" / "a.csv").write_bytes(TEXT.encode())
        (root / "data" / "deep" / "b.csv").write_bytes("".join(TEXT.splitlines(True)[:9]).encode())
        (root / "data" / "notes.txt").write_bytes(b"no table")
