"""Where faults can be injected."""

from __future__ import annotations

from enum import StrEnum


class Point(StrEnum):
    """A named place in source, storage or commit, and what goes wrong there."""

    SOURCE_CUT = "source.cut"
    """In front of a batch: the origin's connection breaks."""
    SOURCE_SLOW = "source.slow"
    """In front of a batch: the origin lets one wait."""
    SOURCE_CORRUPT = "source.corrupt"
    """A payload arrives as zeros."""
    STORAGE_CUT = "storage.cut"
    """Inside a unit of work: the database's connection breaks at one of its uses, and stays broken."""
    STORAGE_SLOW = "storage.slow"
    """In front of a unit of work: the database lets one wait."""
    COMMIT_BEFORE = "commit.before"
    """The connection breaks before the commit: nothing was written."""
    COMMIT_AFTER = "commit.after"
    """The connection breaks after the commit: all was written, and nobody says so."""
    COMMIT_SLOW = "commit.slow"
    """The commit takes its time, with its locks held."""
