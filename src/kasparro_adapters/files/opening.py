"""Opening a file whatever it is wrapped in, and saying what is wrong with it: the one place where faults of the
operating system and of decompressors become errors of Kasparro.

Compression is known by its magic bytes, not by its name: a `.gz` that a server has already unwrapped reads as well.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import importlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from kasparro_adapters.files.foreign import OFFICE_MEMBER, not_csv
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError

_ZSTD_MODULES = ("compression.zstd", "backports.zstd", "pyzstd", "zstandard")
_TABLES = (".csv", ".tsv", ".txt", ".tab")
_CORRUPT: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


class OpenFile:
    """`stream` gives the decompressed bytes of `raw`; `seekable`: they are the same.

    Of a zip archive, `member` or the only table is read. Owns `raw`.
    """

    def __init__(self, raw: BinaryIO, member: str | None = None) -> None:
        self.raw = raw
        self._member = member
        self._unwrapped: BinaryIO | None = None
        self.rewind()

    @property
    def seekable(self) -> bool:
        """True for a plain file."""
        return self._unwrapped is None

    @property
    def stream(self) -> BinaryIO:
        """The decompressed bytes, from where they were left."""
        return self._unwrapped or self.raw

    def rewind(self) -> None:
        """Back to the start."""
        self.raw.seek(0)
        magic = self.raw.read(10)
        self.raw.seek(0)
        self._unwrapped = _decompressor(self.raw, magic, self._member)

    def stat(self) -> os.stat_result:
        """Size and times of the file itself, as they are now."""
        return os.fstat(self.raw.fileno())

    def close(self) -> None:
        """Twice is fine."""
        if self._unwrapped is not None:
            self._unwrapped.close()
        self.raw.close()


def _decompressor(raw: BinaryIO, magic: bytes, member: str | None) -> BinaryIO | None:
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="rb"))
    if magic.startswith(b"BZh") and magic[4:10] == b"1AY&SY":
        return cast(BinaryIO, bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if magic.startswith(b"PK\x03\x04"):
        return _zip_member(raw, member)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd(raw)
    return None


def _zip_member(raw: BinaryIO, wanted: str | None) -> BinaryIO:
    archive = zipfile.ZipFile(raw)
    names = [info.filename for info in archive.infolist() if _is_content(info)]
    if OFFICE_MEMBER in names:
        raise not_csv("a zip archive", "an Office document (a workbook is exported as CSV by the program that made it)")
    tables = [wanted] if wanted else [name for name in names if name.lower().endswith(_TABLES)] or names
    if len(tables) != 1 or tables[0] not in names:  # of several, none is left out in silence
        found = ", ".join(names[:10]) or "nothing"
        raise PermanentSourceError(
            f"expected {wanted or 'one table'} in the zip archive, found {found}.",
            code="zip_member",
            hint="`member` of the source names the file to read.",
        )
    name = tables[0]
    if archive.getinfo(name).flag_bits & 1:
        raise PermanentSourceError(f"{name} in the zip archive is encrypted.", code="zip_encrypted")
    return cast(BinaryIO, archive.open(name))


def _is_content(info: zipfile.ZipInfo) -> bool:
    return not info.is_dir() and not info.filename.startswith("__MACOSX/")


def _zstd(raw: BinaryIO) -> BinaryIO:
    module = zstd_module()
    if module is None:
        raise PermanentSourceError(
            "the file is compressed with Zstandard, which this Python cannot read.",
            code="zstd_missing",
            hint="Install `zstandard`, or use Python 3.14 or later.",
        )
    return cast(BinaryIO, module.open(raw, "rb"))


def zstd_module() -> Any:
    """The first importable module that opens Zstandard files, or None."""
    for name in _ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


@contextmanager
def translated(source: str, path: Path | str, root: Path) -> Iterator[None]:
    """Everything that opening and reading `path` can raise, as SourceErrors that name the source and the file."""
    try:
        yield
    except SourceError as error:
        error.source = error.source or source
        raise
    except OSError as error:
        raise _os_fault(error, source, path, root) from error
    except _corrupt_faults() as error:
        raise _corrupt(error, source, path) from error


def _corrupt_faults() -> tuple[type[Exception], ...]:
    module = zstd_module()
    return (*_CORRUPT, module.ZstdError) if module is not None else _CORRUPT


def _corrupt(error: Exception, source: str, path: Path | str) -> SourceError:
    message = f"{path} cannot be decompressed: {error}."
    return PermanentSourceError(message, source=source, code="decompression", hint="It is cut off or damaged.")


def _os_fault(error: OSError, source: str, path: Path | str, root: Path) -> SourceError:
    if isinstance(error, gzip.BadGzipFile) or error.errno is None:
        return _corrupt(error, source, path)
    if isinstance(error, FileNotFoundError):
        return missing(source, path, root)
    if isinstance(error, PermissionError):
        message = f"{path} may not be read: {error.strerror}."
        return PermanentSourceError(message, source=source, code="file_denied", hint="Check its owner and mode.")
    if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
        return PermanentSourceError(f"{path} cannot be opened: {error.strerror}.", source=source, code="file_path")
    return TransientSourceError(f"{path} cannot be read: {error.strerror}.", source=source, code="file_io")


def missing(source: str, path: Path | str, root: Path) -> PermanentSourceError:
    """The error for a path without file."""
    return PermanentSourceError(
        f"there is no file {path}.",
        source=source,
        code="file_missing",
        hint=f"Relative paths are relative to {root}.",
    )
