"""Which of two observations of one key is the newer one."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Moment(NamedTuple):
    """When a state held (`occurred_at`, by the source), when it was seen (`observed_at`, by us), and where: in which
    payload (None: not kept), at which place in it."""

    occurred_at: datetime | None
    observed_at: datetime
    raw_id: int | None = None
    raw_index: int = 0

    def is_same_place(self, other: Moment) -> bool:
        """The same item of the same payload of the same read: one observation, however its content is read."""
        return self.raw_id is not None and self[1:] == other[1:]


def supersedes(new: Moment, stored: Moment, *, by_occurrence: bool) -> bool:
    """True when `new` replaces `stored` as the latest state.

    A strictly older occurred_at never replaces a newer one. Where the two are equal, or one is missing, or the order
    is by observation alone (articles), the later observation wins. Of two at the same instant (a file is read at one)
    the one further on in the payloads wins; where these are not kept, the one that comes second.
    """
    if by_occurrence and new.occurred_at is not None and stored.occurred_at is not None:
        if new.occurred_at != stored.occurred_at:
            return new.occurred_at > stored.occurred_at
    if new.observed_at != stored.observed_at:
        return new.observed_at > stored.observed_at
    if new.raw_id is None or stored.raw_id is None:
        return True
    return (new.raw_id, new.raw_index) >= (stored.raw_id, stored.raw_index)
