"""Asking only for what changed since the last complete walk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from kasparro_core.config import Strict
from kasparro_core.model.record import RawRecord
from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.normalize.paths import getter
from kasparro_core.normalize.timestamps import timestamp_coercion

Mark = int | str
"""A high-water mark as it stands in a cursor: an int, a text, or an instant as RFC 3339 text."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*")
_EPOCH_US = {"s": 1_000_000, "ms": 1_000}
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class IncrementalOptions(Strict):
    """`cursor` is the item's field that tells how new it is, `param` the query parameter that asks for newer items.

    The highest value seen becomes the mark when a walk is complete; the next run asks from the mark minus `lookback`
    on, the boundary included. `type` says how values compare: as instants, integers or texts. Instants are sent as
    `send` says (RFC 3339, date, epoch seconds or milliseconds), rounded down; `unit` declares epoch numbers in the
    items. `lookback` is "90s", "15m", "1h", "7d" or seconds; for integers a plain difference. `start` is the mark of
    the very first run.
    """

    cursor: str = Field(min_length=1)
    param: str = Field(min_length=1)
    type: Literal["instant", "int", "text"] = "instant"
    send: Literal["iso", "date", "s", "ms"] = "iso"
    unit: Literal["s", "ms", "us", "ns"] | None = None
    lookback: str | int = 0
    start: str | int | None = None

    @field_validator("lookback")
    @classmethod
    def _readable(cls, value: str | int) -> str | int:
        if isinstance(value, str) and not _DURATION.fullmatch(value):
            raise ValueError('expected a duration like "90s", "15m", "1h" or "7d"')
        if isinstance(value, int) and value < 0:
            raise ValueError("expected a lookback of 0 or more")
        return value

    @model_validator(mode="after")
    def _fitting(self) -> IncrementalOptions:
        if self.type != "instant" and isinstance(self.lookback, str):
            raise ValueError('a `lookback` in units of time needs `type = "instant"`')
        if self.type == "text" and self.lookback:
            raise ValueError("texts have no `lookback`: nothing can be taken from them")
        if self.start is not None and self.mark_of(self.start) is None:
            raise ValueError(f"`start` cannot be read as {self.type}")
        return self

    @property
    def identity(self) -> str:
        """What a mark is a mark of: one of another field, or compared otherwise, says nothing here."""
        return f"{self.type} {self.cursor}"

    def mark_of(self, value: Any) -> Mark | None:
        """A field's value as a mark; None where it has none that can be told."""
        match self.type:
            case "instant":
                moment = timestamp_coercion(unit=self.unit)(value)
                return rfc3339(moment) if isinstance(moment, datetime) else None
            case "int":
                return _integer(value)
            case "text":
                return value.strip() or None if isinstance(value, str) else None

    def is_mark(self, stored: Any) -> bool:
        """True for a mark as `mark_of` gives it."""
        if self.type != "instant":
            return stored is not None and self.mark_of(stored) == stored
        try:
            return isinstance(stored, str) and rfc3339(datetime.fromisoformat(stored)) == stored
        except (ValueError, OverflowError):
            return False

    def highest(self, items: Iterable[RawRecord], mark: Mark | None) -> Mark | None:
        """The greatest of `mark` and the items' own."""
        get = getter(self.cursor)
        found = [each for each in (self.mark_of(get(item.data)) for item in items) if each is not None]
        return max([*found, *([] if mark is None else [mark])], key=self._order, default=None)

    def higher(self, one: Mark | None, other: Mark | None) -> Mark | None:
        """The greater of two marks; None is below all."""
        return max((each for each in (one, other) if each is not None), key=self._order, default=None)

    def settled(self, mark: Mark | None, started_at: datetime) -> Mark | None:
        """The mark that a complete walk leaves behind: an instant is never later than the walk's start. What changed
        while it lasted may be on pages that were already read, and an item may be dated in the future: the next run
        has to ask from before either."""
        return mark if self.type != "instant" else min(mark, rfc3339(started_at), key=self._order) if mark else None

    def params(self, mark: Mark | None) -> dict[str, str]:
        """The query parameter that asks for what is at or after `mark`; none without a mark."""
        return {} if mark is None else {self.param: self._sent(mark)}

    def _sent(self, mark: Mark) -> str:
        if self.type == "text":
            return str(mark)
        if self.type == "int":
            return str(int(mark) - int(self.lookback))
        return SENDERS[self.send](self._before(datetime.fromisoformat(str(mark))))

    def _before(self, moment: datetime) -> datetime:
        """The moment less the lookback; where that is before the calendar's first day, this day."""
        try:
            return moment - timedelta(seconds=self._seconds())
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)

    def _seconds(self) -> float:
        if isinstance(self.lookback, int):
            return float(self.lookback)
        found = _DURATION.fullmatch(self.lookback)
        return float(found[1]) * _UNITS[found[2]] if found else 0.0

    @property
    def _order(self) -> Callable[[Any], Any]:
        return datetime.fromisoformat if self.type == "instant" else (int if self.type == "int" else str)


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,30}\s*", value):
        return int(value)
    return value if isinstance(value, int) else None


def _epoch(moment: datetime, unit: str) -> str:
    return str((moment - _EPOCH) // timedelta(microseconds=1) // _EPOCH_US[unit])


SENDERS: dict[str, Callable[[datetime], str]] = {
    "iso": rfc3339,
    "date": lambda moment: moment.date().isoformat(),
    "s": lambda moment: _epoch(moment, "s"),
    "ms": lambda moment: _epoch(moment, "ms"),
}
"""How an instant is sent: RFC 3339, a date, epoch seconds or milliseconds; rounded down."""
