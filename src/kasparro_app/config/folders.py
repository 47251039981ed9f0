"""The folder that a path names by itself: what a person types, or a program says, is meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasparro_adapters.confine import expanded
from kasparro_app.config.draft import Draft
from kasparro_app.config.paths import lookup

_KEYS = ("path", "url", "urls", "opml")
_FILES = ("csv", "feed")
_is_link = os.path.islink  # False for whatever cannot be looked at; that of Path raises
_MOST_LINKS = 40


def folder_of(path: str, start: Path) -> Path:
    """The folder that a path names, or for a pattern what stands in front of its first wildcard; where the file is a
    link out of it, the folder that the link names. Relative paths count from `start`.

    Folders stay as they are written: one that is a link (`current`, a mounted ConfigMap) is followed with each read, so
    that nothing is lost when it leads to another release.
    """
    if "\0" in path:  # no system has it; whoever opens it says so
        return start
    parts = (start / expanded(path)).parts
    fixed = next((at for at, part in enumerate(parts) if glob.has_magic(part)), None)
    return _holder(Path(*parts)) if fixed is None else Path(*parts[:fixed])


def _holder(file: Path) -> Path:
    real = Path(os.path.realpath(file))
    for _ in range(_MOST_LINKS):
        if real.is_relative_to(os.path.realpath(file.parent)) or not _is_link(file):
            break
        file = file.parent / file.readlink()
    return file.parent


def give_own_roots(draft: Draft) -> None:
    """The own folder as `root` for each source whose path the environment gives, unless it has a root: whoever sets a
    variable means that file, wherever the configuration lies."""
    for name in draft.source_names():
        table = lookup(draft.document, ("sources", name))
        if not isinstance(table, Mapping) or "root" in table:
            continue
        variables = {key: draft.origin.variables.get(("sources", name, key)) for key in _KEYS if key in table}
        given = {key: table[key] for key, variable in variables.items() if variable is not None}
        root = with_own_root({"type": table.get("type"), **given}, draft.root).get("root")
        if root is not None:
            draft.set(("sources", name, "root"), root, ", ".join(filter(None, variables.values())))


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
    if len(set(folders)) == 1:
        return folders[0]
    try:
        return Path(os.path.commonpath([os.path.realpath(folder) for folder in folders]))
    except ValueError:
        return Path(folders[0].anchor)
