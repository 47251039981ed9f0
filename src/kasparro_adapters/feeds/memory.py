"""What a feed's cursor remembers between two reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from kasparro_adapters.feeds.moves import Move
from kasparro_core.model.batch import Cursor
from kasparro_core.model.record import RawRecord
from kasparro_core.services.position import Count, Shape

_DIGITS = 12
_KEPT = 128
"""Items at each end of a document that are remembered: wherever its newest ones stand, they are among them."""


class Memory(Shape):
    """The cursor: the SHA-256 of the body that was read last, marks of its items, and what it asked for.

    `items` holds twelve hexadecimal digits for each item (at most 256); `wait` seconds and `quiet` are its wish;
    `move` is where the feed has moved to, or seems to.
    """

    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    items: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{12})*$")] = ""
    wait: Count = 0
    quiet: str | None = None
    move: Move | None = None

    def cursor(self) -> Cursor:
        """As it is stored, without what is not known."""
        return self.model_dump(exclude_defaults=True)


def marks(items: Sequence[RawRecord]) -> list[str]:
    """One mark for each item: of its id, else its link, else all of it."""
    return [_mark(item.data) for item in items]


def kept(found: Sequence[str]) -> str:
    """The marks to remember, from both ends of a document."""
    return "".join(found if len(found) <= 2 * _KEPT else [*found[:_KEPT], *found[-_KEPT:]])


def has_gap(before: Cursor | None, found: Sequence[str]) -> bool:
    """True when a document and the one before it both have items, and none in common: whatever was published in
    between and fell out again was never seen."""
    known = before.get("items") if before else None
    if not found or not known or not isinstance(known, str):
        return False
    return {known[at : at + _DIGITS] for at in range(0, len(known), _DIGITS)}.isdisjoint(found)


def _mark(item: Mapping[str, Any]) -> str:
    name = item.get("id") or item.get("link") or json.dumps(item, sort_keys=True, default=str)
    return hashlib.sha256(str(name).encode("utf-8", "replace")).hexdigest()[:_DIGITS]
