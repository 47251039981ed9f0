"""Faults of the operating system and of decompressors become errors that name source and file."""

from __future__ import annotations

import errno
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

import pytest

from kasparro_adapters.files.opening import translated
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), PermanentSourceError, "file_missing"),
        (PermissionError(errno.EACCES, "Permission denied"), PermanentSourceError, "file_denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), PermanentSourceError, "file_path"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), PermanentSourceError, "file_path"),
        (OSError(errno.EIO, "Input/output error"), TransientSourceError, "file_io"),
        (gzip.BadGzipFile("CRC check failed"), PermanentSourceError, "decompression"),
        (OSError("Invalid data stream"), PermanentSourceError, "decompression"),
        (EOFError("Compressed file ended"), PermanentSourceError, "decompression"),
        (zlib.error("Error -3"), PermanentSourceError, "decompression"),
        (lzma.LZMAError("Corrupt input data"), PermanentSourceError, "decompression"),
        (zipfile.BadZipFile("File is not a zip file"), PermanentSourceError, "decompression"),
    ],
)
def test_every_fault_of_a_file_is_translated(fault: Exception, kind: type[SourceError], code: str) -> None:
    """Kind and code say what to do; the cause is kept."""
    with pytest.raises(kind) as caught, translated("prices", "data/p.csv", Path("/home")):
        raise fault
    assert (caught.value.source, caught.value.code) == ("prices", code)
    assert "data/p.csv" in caught.value.message
    assert caught.value.__cause__ is fault


def test_an_error_of_ours_gets_the_name_of_its_source() -> None:
    """What is raised without a source on the way is completed, nothing else of it changes."""
    with pytest.raises(PermanentSourceError) as caught, translated("prices", "p.csv", Path()):
        raise PermanentSourceError("wrong", code="line_too_long")
    assert (caught.value.source, caught.value.code) == ("prices", "line_too_long")


def test_a_bug_stays_a_bug() -> None:
    """Programming errors are not dressed as faults of a file."""
    with pytest.raises(ZeroDivisionError), translated("prices", "p.csv", Path()):
        raise ZeroDivisionError
