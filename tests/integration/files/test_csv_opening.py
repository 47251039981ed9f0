"""Finding and opening files: every wrapping, every encoding, and an error that names the file for everything else."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from scripted import SteppingClock

from kasparro_adapters.files import CsvSource, CsvSourceConfig, opening
from kasparro_core.errors import PermanentSourceError
from kasparro_core.ports import ReadContext

CLOCK = SteppingClock()
TEXT = "name;value\nÉric;1,5\n€uro;2\n"
ROWS = [{"name": "Éric", "value": "1,5"}, {"name": "€uro", "value": "2"}]


async def rows(root: Path, path: str, **options: Any) -> list[dict[str, str]]:
    """The items of all partitions; no row may be rejected."""
    source = CsvSource("prices", CsvSourceConfig(path=path, **options), root, CLOCK)
    found: list[dict[str, str]] = []
    for partition in await source.partitions():
        reading = cast(Any, source.read(partition, ReadContext(now=CLOCK.now())))
        async with aclosing(reading):
            async for batch in reading:
                assert not batch.rejections
                found += [dict(item.data) for item in batch.items]
    return found


async def fault(root: Path, path: str, **options: Any) -> PermanentSourceError:
    with pytest.raises(PermanentSourceError) as caught:
        await rows(root, path, **options)
    assert caught.value.source == "prices"
    return caught.value


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
async def test_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    """With and without byte order mark, text comes out as it was written."""
    (tmp_path / "f.csv").write_bytes(TEXT.encode(encoding))
    assert await rows(tmp_path, "f.csv") == ROWS


async def test_a_declared_encoding_is_used(tmp_path: Path) -> None:
    """What cannot be told from the bytes is told by the configuration."""
    text = "name;value\nПривет;1\n"
    (tmp_path / "f.csv").write_bytes(text.encode("cp866"))
    assert await rows(tmp_path, "f.csv", encoding="cp866") == [{"name": "Привет", "value": "1"}]


@pytest.mark.parametrize("wrap", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped({"f.csv": data})])
@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz"])
async def test_compression_is_known_by_content(tmp_path: Path, wrap: Any, name: str) -> None:
    """gzip, bzip2, xz and zip are unwrapped whatever the file is called."""
    (tmp_path / name).write_bytes(wrap(TEXT.encode()))
    assert await rows(tmp_path, name) == ROWS


async def test_zip_members(tmp_path: Path) -> None:
    """The only table of an archive is read, or the declared member; a missing one, or a choice among several, is an
    error."""
    files = {"__MACOSX/f.csv": b"junk", "readme.md": b"text", "a.csv": TEXT.encode()}
    (tmp_path / "f.zip").write_bytes(zipped(files))
    assert await rows(tmp_path, "f.zip") == ROWS
    (tmp_path / "f.zip").write_bytes(zipped({**files, "b.csv": b"x,y\n1,2\n"}))
    assert (await fault(tmp_path, "f.zip")).code == "zip_member"
    assert await rows(tmp_path, "f.zip", member="b.csv") == [{"x": "1", "y": "2"}]
    error = await fault(tmp_path, "f.zip", member="c.csv")
    assert error.code == "zip_member"
    assert "a.csv" in error.message


async def test_zstandard_without_a_decompressor_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing optional library is one clear sentence."""
    monkeypatch.setattr(opening, "_ZSTD_MODULES", ("no_such_module",))
    (tmp_path / "f.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd rest")
    error = await fault(tmp_path, "f.csv.zst")
    assert error.code == "zstd_missing"
    assert "zstandard" in str(error)


async def test_zstandard_is_read_where_a_decompressor_is_importable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any module with `open` and `ZstdError` serves; here gzip stands in for one."""

    class Stand:
        ZstdError = ValueError

        @staticmethod
        def open(raw: Any, mode: str) -> Any:
            raw.seek(4)
            return gzip.GzipFile(fileobj=raw, mode=mode)

    monkeypatch.setitem(sys.modules, "stand_in_for_zstd", cast(Any, Stand))
    monkeypatch.setattr(opening, "_ZSTD_MODULES", ("stand_in_for_zstd",))
    (tmp_path / "f.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd" + gzip.compress(TEXT.encode()))
    assert await rows(tmp_path, "f.csv.zst") == ROWS


@pytest.mark.parametrize("wrap", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped({"f.csv": data})])
async def test_a_damaged_archive_is_a_permanent_error(tmp_path: Path, wrap: Any) -> None:
    """Cut off in the middle: the file is named, nothing is guessed."""
    noise = os.urandom(20_000).hex().encode()
    whole = wrap(b"a,b\n" + b"\n".join(noise[n : n + 8] + b",x" for n in range(0, len(noise), 8)))
    (tmp_path / "f.csv.gz").write_bytes(whole[: len(whole) // 2])
    error = await fault(tmp_path, "f.csv.gz")
    assert error.code == "decompression"
    assert "f.csv.gz" in error.message


async def test_missing_files_are_named_with_their_root(tmp_path: Path) -> None:
    """The error says which file, and from where relative paths are counted."""
    for path in ("no.csv", "no/*.csv", "no/such/folder.csv"):
        error = await fault(tmp_path, path)
        assert error.code == "file_missing"
        assert path.split("/")[-1] in error.message
        assert str(tmp_path) in str(error)


async def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    """The hint names the glob that was probably meant."""
    (tmp_path / "data").mkdir()
    error = await fault(tmp_path, "data")
    assert error.code == "file_is_directory"
    assert "*.csv" in str(error)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "HTML"),
        (b"\xef\xbb\xbf<html lang=en>", "HTML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PAR1\x15\x04", "Parquet"),
        (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "Office"),
    ],
)
async def test_what_is_no_csv_is_refused_by_name(tmp_path: Path, content: bytes, what: str) -> None:
    """A sign-in page or a workbook is one clear error, not a thousand rejected rows."""
    (tmp_path / "f.csv").write_bytes(content)
    error = await fault(tmp_path, "f.csv")
    assert error.code == "not_csv"
    assert what in error.message


async def test_a_glob_gives_sorted_relative_partitions(tmp_path: Path) -> None:
    """Forward slashes, sorted, absolute only outside the folder of the configuration, which a person has to allow."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for path in (root / "b" / "x.csv", root / "a" / "y.csv", elsewhere / "z.csv"):
        path.parent.mkdir(parents=True)
        path.write_text(TEXT, encoding="utf-8")
    source = CsvSource("prices", CsvSourceConfig(path="*/*.csv"), root, CLOCK)
    assert list(await source.partitions()) == ["a/y.csv", "b/x.csv"]
    pattern = str(elsewhere / "*.csv")
    config = CsvSourceConfig(path=pattern, root="../elsewhere")
    source = CsvSource("prices", config, root, CLOCK)
    assert list(await source.partitions()) == [(elsewhere / "z.csv").as_posix()]
    assert (await fault(root, pattern)).code == "file_outside"


async def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    """What exists under this very name is not a pattern."""
    (tmp_path / "f[1].csv").write_text(TEXT, encoding="utf-8")
    assert await rows(tmp_path, "f[1].csv") == ROWS


async def test_facts_name_the_path_as_given_and_count_the_bytes_of_the_file(tmp_path: Path) -> None:
    """The ledger shows what the person configured, and what was read from disk."""
    packed = gzip.compress(TEXT.encode())
    (tmp_path / "f.csv.gz").write_bytes(packed)
    source = CsvSource("prices", CsvSourceConfig(path="f.csv.gz"), tmp_path, CLOCK)
    reading = cast(Any, source.read("", ReadContext(now=CLOCK.now())))
    async with aclosing(reading):
        batches = [batch async for batch in reading]
    assert {batch.fetch.url for batch in batches} == {"f.csv.gz"}
    assert sum(batch.fetch.bytes_fetched for batch in batches) == len(packed)
