"""The folder that a path names by itself: what a person types, or a program says, is meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasparro_adapters.confine import expanded

_KEYS = ("path", "url", "urls", "opml")
_FILES = frozenset({"csv", "feed"})


def folder_of(path: str, start: Path) -> Path:
    """Where the file of a path really lies, or for a pattern what stands in front of its first wildcard. Relative paths
    count from `start`."""
    if "\0" in path:  # no system has it; whoever opens it says so
        return start
    parts = (start / expanded(path)).parts
    fixed = next((at for at, part in enumerate(parts) if glob.has_magic(part)), None)
    if fixed is None:
        return Path(os.path.realpath(Path(*parts))).parent
    return Path(os.path.realpath(Path(*parts[:fixed])))


def with_own_root(table: Mapping[str, Any], start: Path) -> Mapping[str, Any]:
    """The table of a source with the folder of its files as `root`, unless it has one: for tables that nobody but the
    caller has written."""
    if table.get("type") not in _FILES or "root" in table:
        return table
    given = [table[key] for key in _KEYS if key in table]
    paths = [path for each in given for path in ([each] if isinstance(each, str) else each if _listed(each) else [])]
    folders = [folder_of(path, start) for path in paths if isinstance(path, str) and path and "://" not in path]
    return {**table, "root": str(_common(folders))} if folders else table


def _listed(value: object) -> bool:
    return isinstance(value, list | tuple)


def _common(folders: list[Path]) -> Path:
    """What holds them all; nothing does across drives, and then the first one's drive is as good as any."""
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        return Path(folders[0].anchor)
