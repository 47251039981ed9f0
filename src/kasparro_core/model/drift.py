"""The remembered shapes of a source, and what can change about one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

ELEMENT = "[]"
"""The step of a path that stands for every element of an array."""

ANY = "*"
"""The step of a path that stands for every key of a map."""

Path = tuple[str, ...]


class DriftRule(StrEnum):
    """What to do when the shape of a source changes; the values of the key `drift`."""

    EVOLVE = "evolve"
    FREEZE = "freeze"
    DISCARD_ROW = "discard_row"
    DISCARD_VALUE = "discard_value"


class Alteration(StrEnum):
    """What happened to a field; the values of `drift_events.change`."""

    ADDED = "added"
    REMOVED = "removed"
    RETYPED = "retyped"
    RENAMED = "renamed"
    NULLABILITY = "nullability"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a shape. `before` and `after` are words for people; `confidence` (0 to 1) tells how sure a renaming
    is, `to` where the field went. `kinds` are those that are new in a retyped field. `open_at` are the steps of the
    path that are keys of a map."""

    change: Alteration
    path: Path
    before: str | None
    after: str | None
    confidence: Decimal | None = None
    to: Path | None = None
    kinds: frozenset[str] = frozenset()
    open_at: frozenset[int] = frozenset()

    @property
    def place(self) -> str:
        """The dotted path of the field."""
        return path_text(self.path)


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One remembered shape of a source: version 1 is the first that was seen, each accepted change makes another.

    `schema` is the JSON document of `kasparro_core.drift`. `accepted_at` is None for a shape that waits for a person;
    it is the newest version then, and there is one such at most.
    """

    source: str
    version: int
    schema_hash: str
    schema: Mapping[str, Any]
    run_id: int | None
    first_seen_at: datetime
    accepted_at: datetime | None


def path_text(path: Path) -> str:
    """A path as people write it.

    >>> path_text(("quotes", "USD", "price")), path_text(("tags", "[]", "name"))
    ('quotes.USD.price', 'tags[].name')
    """
    return ".".join(path).replace(f".{ELEMENT}", ELEMENT)
