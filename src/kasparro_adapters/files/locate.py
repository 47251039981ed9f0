"""Which files a configured path means: a file, a glob or an address."""

from __future__ import annotations

import glob
from pathlib import Path
from urllib.parse import urlsplit

WHOLE = ""
"""The partition of a source that is one file."""


def is_remote(path: str) -> bool:
    """True for http:// and https:// addresses."""
    return urlsplit(path).scheme in ("http", "https")


def is_glob(path: str, root: Path) -> bool:
    """True for a pattern. A file that exists under this very name is itself, even with brackets in it."""
    return not is_remote(path) and glob.has_magic(path) and not (root / path).is_file()


def matches(pattern: str, root: Path) -> list[str]:
    """The files of a glob, sorted: relative to `root` with forward slashes, absolute where they lie elsewhere."""
    pattern = str(Path(pattern).expanduser())
    # glob and not Path.glob, which takes no absolute pattern and finds hidden files
    found = (root / name for name in glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207
    return sorted({_relative(path, root) for path in found if path.is_file()})


def file_of(path: str, partition: str, root: Path) -> Path:
    """The file behind a partition."""
    return root / Path(partition or path).expanduser()


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
