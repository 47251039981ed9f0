"""What became of the records of a source between the ends of two of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Fate(StrEnum):
    """What became of a record. `added`: it was not there before. `changed`: another state of it was written. `gone`,
    `returned`: the source did not list it any more, or listed it again as it was. `unknown`: it was written again after
    the later run, and what was written before is not kept: without history, or its versions were pruned."""

    ADDED = "added"
    CHANGED = "changed"
    GONE = "gone"
    RETURNED = "returned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Span:
    """From the end of the run `low` of a source to that of its later run `high`, which were at `since` and `until`.
    `after_seq` and `through_seq` are the places of the two in the feed of changes (None: not known)."""

    source: str
    low: int
    high: int
    since: datetime
    until: datetime
    after_seq: int | None = None
    through_seq: int | None = None


class Life(NamedTuple):
    """What is stored of one record: the run of its latest state, how many states there were, and those of its earlier
    states that are kept by their runs."""

    run_id: int
    revision: int
    change_seq: int
    first_seen_at: datetime
    gone_at: datetime | None
    earlier: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    """How many records had one fate, and the keys of the first ones by record_id."""

    count: int
    keys: Sequence[str]


def fate_of(life: Life, span: Span) -> Fate | None:
    """What became of a record in a span; None: nothing, as far as is kept."""
    if span.after_seq is not None and life.change_seq <= span.after_seq:
        return None
    beginning = _beginning(life, span)
    gone_at = life.gone_at
    if beginning is None or (gone_at is not None and gone_at <= span.since):
        return None
    if gone_at is not None and gone_at <= span.until:
        return Fate.GONE if beginning is _BEFORE else None
    if beginning is _WITHIN:
        return Fate.ADDED
    if any(span.low < run_id <= span.high for run_id in (life.run_id, *life.earlier)):
        return Fate.CHANGED
    if life.run_id > span.high:
        return None if _is_complete(life) else Fate.UNKNOWN
    return _presence(life, span)


_BEFORE, _WITHIN = "before", "within"


def _beginning(life: Life, span: Span) -> str | None:
    """Whether it was there before the span, or came in it; None: after it. Where not all of its states are kept the
    instant at which it was first seen has to do."""
    if not _is_complete(life):
        if life.first_seen_at <= span.since:
            return _BEFORE
        return _WITHIN if life.first_seen_at <= span.until else None
    first = min((life.run_id, *life.earlier))
    if first <= span.low:
        return _BEFORE
    return _WITHIN if first <= span.high else None


def _is_complete(life: Life) -> bool:
    return life.revision <= 1 + len(life.earlier)


def _presence(life: Life, span: Span) -> Fate | None:
    """Of a record whose content is as it was before: something moved it in the feed of changes, and that was that it
    came back. After the span, it may have been gone within."""
    if life.gone_at is not None or span.after_seq is None or span.through_seq is None:
        return None
    return Fate.RETURNED if life.change_seq <= span.through_seq else Fate.UNKNOWN
