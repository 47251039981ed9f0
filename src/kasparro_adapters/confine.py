"""Files that a configuration may name: regular ones inside of one folder, wherever links and `..` lead.

A path is judged by where it really leads, before anything is opened; what is opened is that place, and not the name.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from kasparro_core.errors import PermanentSourceError

OUTSIDE = "file_outside"
"""The code of a path that leads out of its folder."""

_NETWORK = re.compile(r"[\\/]{2}")
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ .]*(?:[.:].*)?", re.IGNORECASE
)
_KERNEL = ("/proc", "/sys")
_FLAGS = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_NOINHERIT")
_ON_WINDOWS = os.name == "nt"


def expanded(path: str) -> Path:
    """The path with one's own home in the place of a leading `~`."""
    return Path(path).expanduser() if re.match(r"~(?:[\\/]|$)", path) else Path(path)


def inside(path: Path, folder: Path) -> Path:
    """Where a path really leads. Opens nothing.

    Raises PermanentSourceError: `file_outside` when that is not in `folder` (or it is a network path or a device of
    Windows), `file_path` for a path that no system has.
    """
    text = str(path)
    if "\0" in text:
        raise PermanentSourceError(f"{text!r} is no path: it holds a NUL.", code="file_path")
    if _NETWORK.match(text) and not _NETWORK.match(str(folder)):
        raise _outside(path, "another machine", folder)
    real, limit = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not _lies_in(real, limit):
        raise _outside(path, str(real), folder)
    if _ON_WINDOWS and (name := device_name(real)) is not None:
        raise _outside(path, f"the device {name}", folder)
    return real


def device_name(path: Path) -> str | None:
    """The part of a path that Windows takes for a device or a stream of a file, whatever its folder. None: there is
    none."""
    parts = [part for part in path.parts if part != path.anchor]
    return next((part for part in parts if _DEVICE.fullmatch(part) or ":" in part), None)


def open_inside(path: Path, folder: Path, expected: str = "a CSV file") -> BinaryIO:
    """The file for reading. Raises PermanentSourceError as `inside` does, and `file_is_directory` or `file_not_regular`
    for what is no file (it is not opened); OSError otherwise."""
    real = inside(path, folder)
    _check_kind(real.stat().st_mode, path, expected, real)
    flags = os.O_RDONLY
    for name in _FLAGS:
        flags |= getattr(os, name, 0)
    file = os.fdopen(os.open(real, flags), "rb")
    try:
        _check_kind(os.fstat(file.fileno()).st_mode, path, expected, real)  # it may have been replaced meanwhile
    except BaseException:
        file.close()
        raise
    return file


def _lies_in(real: Path, limit: Path) -> bool:
    return Path(os.path.normcase(real)).is_relative_to(os.path.normcase(limit))


def _check_kind(mode: int, path: Path, expected: str, real: Path) -> None:
    if stat.S_ISDIR(mode):
        hint = "A glob such as `data/*.csv` reads all files of a directory." if expected == "a CSV file" else None
        raise PermanentSourceError(f"{path} is a directory, expected {expected}.", code="file_is_directory", hint=hint)
    if not stat.S_ISREG(mode) or (not _ON_WINDOWS and any(_lies_in(real, Path(each)) for each in _KERNEL)):
        raise PermanentSourceError(
            f"{path} is not a regular file, expected {expected}.",
            code="file_not_regular",
            hint="Devices, pipes and the files of /proc and /sys are not read.",
        )


def _outside(path: Path, where: str, folder: Path) -> PermanentSourceError:
    lies = "lies" if where == str(path) else f"leads to {where}, which lies"
    return PermanentSourceError(
        f"{path} {lies} outside of {folder}, the folder that this source may read from.",
        code=OUTSIDE,
        hint="`root` of the source names that folder; without it, it is the one of the configuration file.",
    )
