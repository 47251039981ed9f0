"""Which files a configured path means: a file, a glob or an address. Nothing outside of the folder `limit` is looked
into."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kasparro_adapters.confine import expanded, inside
from kasparro_core.errors import PermanentSourceError

WHOLE = ""
"""The partition of a source that is one file."""

_ANY_DEPTH = "**"
_is_file, _is_dir = os.path.isfile, os.path.isdir  # False for whatever cannot be looked at; those of Path raise


def is_remote(path: str) -> bool:
    """True for http:// and https:// addresses."""
    return urlsplit(path).scheme in ("http", "https")


def is_glob(path: str, root: Path) -> bool:
    """True for a pattern. A file that exists under this very name is itself, even with brackets in it."""
    return not is_remote(path) and glob.has_magic(path) and not _is_file(root / path)


def matches(pattern: str, root: Path, limit: Path) -> list[str]:
    """The files of a glob, sorted: relative to `root` with forward slashes, absolute where they lie elsewhere.

    A link that leads out of `limit` is among them, so that reading it is refused and told; what lies behind it is not.
    Raises PermanentSourceError (`file_outside`) when the folder in front of the first wildcard lies outside itself.
    """
    path = root / expanded(pattern)
    parts = path.parts
    first = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    if ".." in parts[first:]:
        raise PermanentSourceError(
            f"{pattern} goes back by `..` behind a wildcard, which is refused.",
            code="file_outside",
            hint="Write the pattern without it.",
        )
    folder = Path(*parts[:first])
    inside(folder, limit)
    found = _expanded(folder, parts[first:], limit, frozenset({os.path.realpath(folder)}))
    return sorted({_relative(path, root) for path in found})


def file_of(path: str, partition: str, root: Path) -> Path:
    """The file behind a partition."""
    return root / expanded(partition or path)


def _expanded(folder: Path, parts: Sequence[str], limit: Path, above: frozenset[str]) -> Iterator[Path]:
    """What the parts of a pattern find in a folder. `above` are the folders that lead here: links may go in circles."""
    head, rest = parts[0], parts[1:]
    if head == _ANY_DEPTH:
        if rest:
            yield from _expanded(folder, rest, limit, above)
        for entry in _entries(folder, "*"):
            yield from _deeper(entry, parts, limit, above, or_itself=not rest)
    elif rest:
        for entry in _entries(folder, head) if glob.has_magic(head) else [folder / head]:
            yield from _deeper(entry, rest, limit, above)
    elif glob.has_magic(head):
        yield from (entry for entry in _entries(folder, head) if _is_file(entry))
    elif _is_file(folder / head):
        yield folder / head


def _deeper(
    entry: Path, parts: Sequence[str], limit: Path, above: frozenset[str], *, or_itself: bool = False
) -> Iterator[Path]:
    """On into a folder; a link out of the limit stands for itself."""
    if or_itself and _is_file(entry):
        yield entry
    if not _is_dir(entry):
        return
    try:
        real = str(inside(entry, limit))
    except PermanentSourceError:
        yield entry
        return
    if real not in above:
        yield from _expanded(entry, parts, limit, above | {real})


def _entries(folder: Path, pattern: str) -> list[Path]:
    """What of a folder matches one part of a pattern; hidden names only where the pattern begins with a dot. A folder
    that is not there, or may not be read, has nothing."""
    fits = re.compile(fnmatch.translate(os.path.normcase(pattern))).match
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
    return [
        folder / name
        for name in sorted(names)
        if fits(os.path.normcase(name)) and (pattern.startswith(".") or not name.startswith("."))
    ]


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
