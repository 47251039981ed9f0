"""Listings: a reading of everything that a source has, and what is told from it about records that were not in it."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

NOTHING = ""
"""What a batch without payload is the same as, when it brings nothing beyond what the same listing has shown before."""


class Extent(IntFlag):
    """Where a batch stands in a listing. PART: inside of one, or of none (a tail, a window, the newest entries)."""

    PART = 0
    FIRST = 1
    """The listing begins with it."""
    LAST = 2
    """With it everything has been read that the source has."""
    LIVE = 4
    """Said with LAST: it came in pages of a list that may move while it is read, so that a row which comes twice shows
    that another may be missed."""
    WHOLE = FIRST | LAST


class Present(NamedTuple):
    """A record that is there, or is gone, as was asked; `stood`: it was first seen before the instant asked about."""

    record_id: int
    key: str
    stood: bool


class Departed(NamedTuple):
    """What a complete listing said about the records that stood before it: how many of them it did not show, how many
    of those were marked. `most` is the largest share that may be marked at once."""

    missing: int
    stood: int
    marked: int
    most: float

    @property
    def refused(self) -> bool:
        """True when so many were missing that none was marked."""
        return self.missing > 0 and self.missing > self.most * self.stood

    @property
    def share(self) -> float:
        """The share of the missing ones, 0 to 1."""
        return self.missing / self.stood if self.stood else 0.0
