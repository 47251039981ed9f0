"""Which of two observations of one key is the newer one."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Moment(NamedTuple):
    """When a state held (`occurred_at`, by the source) and when it was seen (`observed_at`, by us)."""

    occurred_at: datetime | None
    observed_at: datetime


def supersedes(new: Moment, stored: Moment, *, by_occurrence: bool) -> bool:
    """True when `new` replaces `stored` as the latest state.

    A strictly older occurred_at never replaces a newer one. Where the two are equal, or one is missing, or the order
    is by observation alone (articles), the later observation wins; of two at the same instant, the one that comes
    second.
    """
    if by_occurrence and new.occurred_at is not None and stored.occurred_at is not None:
        if new.occurred_at != stored.occurred_at:
            return new.occurred_at > stored.occurred_at
    return new.observed_at >= stored.observed_at
