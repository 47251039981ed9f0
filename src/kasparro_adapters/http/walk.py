"""The cursor of an HTTP source: where a walk over its pages stands, and what the next walk asks for.

    {"walk": {"at": {...}, "started_at": "...", "pages": 7, "asked": ..., "high": ..., "rules": "..."},
     "next": {"mark": ...}}

In a list that moves, `walk` also says what page was read last, and when: {"behind": {...}, "read_at": "..."}.
`walk` is there only inside a walk. `next` is what the last complete walk left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kasparro_adapters.http.incremental import Mark
from kasparro_adapters.http.paging import Pager, Place
from kasparro_core.errors import CheckpointError
from kasparro_core.model.batch import Cursor
from kasparro_core.normalize.canonical import rfc3339


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk under way. `asked` is the mark it asks from, `high` the highest seen in it, `pages` how many it read.

    `rules` identifies the reading rules: a walk begun under other rules is begun anew. `behind` is the place of the
    page that was read last, at `read_at`, where its rows may meanwhile have moved.
    """

    at: Place
    started_at: datetime
    rules: str
    pages: int = 0
    asked: Mark | None = None
    high: Mark | None = None
    behind: Place | None = None
    read_at: datetime | None = None

    def resumed(self, now: datetime, calm: timedelta) -> Walk:
        """The walk as it goes on at `now`: one page back where rows have had longer than `calm` to move."""
        if self.behind is None or self.read_at is None or now - self.read_at <= calm:
            return self
        return replace(self, at=self.behind)

    def as_json(self) -> dict[str, Any]:
        """The walk inside a cursor."""
        behind = {}
        if self.behind is not None and self.read_at is not None:
            behind = {"behind": dict(self.behind), "read_at": rfc3339(self.read_at)}
        return {
            "at": dict(self.at),
            **behind,
            "started_at": rfc3339(self.started_at),
            "rules": self.rules,
            "pages": self.pages,
            "asked": self.asked,
            "high": self.high,
        }


@dataclass(frozen=True, slots=True)
class Position:
    """A cursor, understood."""

    mark: Mark | None = None
    walk: Walk | None = None

    def as_cursor(self) -> Cursor:
        """The cursor that is stored."""
        following = {} if self.mark is None else {"mark": self.mark}
        return {"next": following} if self.walk is None else {"walk": self.walk.as_json(), "next": following}


def read_position(source: str, cursor: Cursor | None, pager: Pager, rules: str) -> Position:
    """The position that a cursor holds. A walk begun under other reading rules is left out.

    Raises CheckpointError for a cursor that no HTTP source wrote.
    """
    if cursor is None:
        return Position()
    try:
        mark = _mark(_object(cursor["next"]).get("mark"))
        if "walk" not in cursor:
            return Position(mark)
        stored = _object(cursor["walk"])
        if stored["rules"] != rules:
            return Position(mark)
        return Position(mark, _walk(stored, pager))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{source}: the stored position is not one of an HTTP source ({type(error).__name__}: {error}).",
            source=source,
            hint=f"`kasparro run {source} --full` reads it from the start.",
        ) from error


def _walk(stored: Mapping[str, Any], pager: Pager) -> Walk:
    behind = "behind" in stored
    return Walk(
        at=_place(stored["at"], pager),
        started_at=_instant(stored["started_at"]),
        behind=_place(stored["behind"], pager) if behind else None,
        read_at=_instant(stored["read_at"]) if behind else None,
        rules=stored["rules"],
        pages=int(stored["pages"]),
        asked=_mark(stored["asked"]),
        high=_mark(stored["high"]),
    )


def _place(value: Any, pager: Pager) -> Place:
    place = _object(value)
    if not pager.knows(place):
        raise ValueError("the place in the walk does not fit the paging")
    return place


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("an instant has no zone")
    return instant


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("expected an object")
    return value


def _mark(value: Any) -> Mark | None:
    if value is not None and not isinstance(value, int | str):
        raise TypeError("expected a mark")
    return value
