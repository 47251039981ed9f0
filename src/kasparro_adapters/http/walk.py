"""The cursor of an HTTP source: where a walk over its pages stands, and what the next walk asks for.

    {"walk": {"at": {...}, "started_at": "...", "pages": 7, "asked": ..., "high": ..., "rules": "..."},
     "next": {"mark": ..., "of": "instant updated_at"}}

In a list that moves, `walk` also says what page was read last, and when: {"behind": {...}, "read_at": "..."}; and by
{"full": true} that it was begun so. `walk` is there only inside a walk. `next` is what the last complete walk left
behind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kasparro_adapters.http.incremental import IncrementalOptions, Mark
from kasparro_adapters.http.paging import Pager, Place
from kasparro_core.model.batch import Cursor
from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.normalize.values import shown
from kasparro_core.services.position import Count, Instant, Shape, Text, not_understood, understood


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk under way. `asked` is the mark it asks from, `high` the highest seen in it, `pages` how many it read.

    `rules` identifies the reading rules: a walk begun under other rules is begun anew. `behind` is the place of the
    page that was read last, at `read_at`, where its rows may meanwhile have moved. `full`: whoever goes on with it asks
    for every page as if nothing were remembered.
    """

    at: Place
    started_at: datetime
    rules: str
    pages: int = 0
    asked: Mark | None = None
    high: Mark | None = None
    behind: Place | None = None
    read_at: datetime | None = None
    full: bool = False

    def resumed(self, now: datetime, calm: timedelta) -> Walk:
        """The walk as it goes on at `now`: one page back where rows have had longer than `calm` to move, or where a
        clock that is behind cannot tell."""
        if self.behind is None or self.read_at is None or abs(now - self.read_at) <= calm:
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
            **({"full": True} if self.full else {}),
            "started_at": rfc3339(self.started_at),
            "rules": self.rules,
            "pages": self.pages,
            "asked": self.asked,
            "high": self.high,
        }


@dataclass(frozen=True, slots=True)
class Position:
    """A cursor, understood. `of` says what kind of mark `mark` is."""

    mark: Mark | None = None
    walk: Walk | None = None
    of: str | None = None

    def as_cursor(self) -> Cursor:
        """The cursor that is stored."""
        following = {} if self.mark is None else {"mark": self.mark, "of": self.of}
        return {"next": following} if self.walk is None else {"walk": self.walk.as_json(), "next": following}


class _StoredWalk(Shape):
    at: dict[str, Any]
    started_at: Instant
    rules: str
    pages: Count
    asked: Any
    high: Any
    behind: dict[str, Any] | None = None
    read_at: Instant | None = None
    full: bool = False


class _StoredNext(Shape):
    mark: Any = None
    of: Text | None = None


class _AnyWalk(Shape, extra="allow"):
    rules: str


class _Sketch(Shape):
    """What every cursor of an HTTP source has in common, whatever rules it was written under."""

    next: _StoredNext
    walk: _AnyWalk | None = None


class _Stored(_Sketch):
    walk: _StoredWalk  # type: ignore[assignment]  # of these rules


class PositionReader:
    """Understands the cursors of one HTTP source."""

    def __init__(
        self, source: str, pager: Pager, rules: str, incremental: IncrementalOptions | None, partition: str = ""
    ) -> None:
        self._source = source
        self._partition = partition
        self._pager = pager
        self._rules = rules
        self._incremental = incremental

    def position(self, cursor: Cursor | None) -> Position:
        """The position that a cursor holds. What belongs to other reading rules is left out: a walk begun under them,
        the mark of another field.

        Raises CheckpointError for a cursor that no HTTP source wrote, or that somebody changed.
        """
        if cursor is None:
            return Position()
        sketch = understood(_Sketch, cursor, self._source, self._partition)
        try:
            position = self._with_mark(sketch.next)
            if sketch.walk is None or sketch.walk.rules != self._rules:
                return position
            return replace(position, walk=self._walk(understood(_Stored, cursor, self._source, self._partition).walk))
        except ValueError as error:
            raise not_understood(self._source, self._partition, cursor, str(error)) from error

    def _with_mark(self, stored: _StoredNext) -> Position:
        options = self._incremental
        if not isinstance(stored.mark, int | str | None):
            raise ValueError(f"`next.mark`: expected a whole number or a text, found {shown(stored.mark)}")
        if options is None or stored.of not in (None, options.identity):
            return Position()
        return Position(self._mark("next.mark", stored.mark), of=options.identity)

    def _walk(self, stored: _StoredWalk) -> Walk:
        if (stored.behind is None) != (stored.read_at is None):
            raise ValueError("`walk.behind` and `walk.read_at` stand together")
        return Walk(
            at=self._place("walk.at", stored.at),
            started_at=stored.started_at,
            rules=stored.rules,
            pages=stored.pages,
            asked=self._mark("walk.asked", stored.asked),
            high=self._mark("walk.high", stored.high),
            behind=None if stored.behind is None else self._place("walk.behind", stored.behind),
            read_at=stored.read_at,
            full=stored.full,
        )

    def _place(self, member: str, place: Place) -> Place:
        if not self._pager.knows(place):
            raise ValueError(f"`{member}` is no place of this paging")
        return place

    def _mark(self, member: str, mark: Any) -> Mark | None:
        if mark is None:
            return None
        options = self._incremental
        if options is None or not options.is_mark(mark):
            expected = "none" if options is None else f"one of type {options.type}"
            raise ValueError(f"`{member}` is no mark of this source: expected {expected}, found {shown(mark)}")
        known: Mark = mark
        return known
