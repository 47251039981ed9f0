"""What became of records in a span: the rules of `kasparro_core.model.span` as one statement over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, Subquery, and_, case, func, null, or_, select

from kasparro_adapters.sql.tables import record_versions, records
from kasparro_core.model.span import Fate, Keys, Span

Condition = ColumnElement[bool]

_LIFE = [
    records.c[name] for name in ("record_id", "key", "run_id", "revision", "change_seq", "first_seen_at", "gone_at")
]


def fates_statement(span: Span, among: Sequence[Condition], keys: int) -> Executable:
    """Of each fate its first keys, and how many of the records `among` which are looked at had it."""
    lives = _lives(span, among)
    told = select(lives.c.record_id, lives.c.key, _fate(lives, span).label("fate")).subquery()
    place = func.row_number().over(partition_by=told.c.fate, order_by=told.c.record_id)
    all_of_it = func.count().over(partition_by=told.c.fate)
    ranked = select(told.c.fate, told.c.key, place.label("place"), all_of_it.label("records"))
    first = ranked.where(told.c.fate.is_not(None)).subquery()
    return select(first.c.fate, first.c.key, first.c.records).where(first.c.place <= keys).order_by(first.c.place)


def fates_of(rows: Iterable[Row[Any]]) -> dict[Fate, Keys]:
    """The rows of that statement."""
    counts: dict[Fate, int] = {}
    keys: defaultdict[Fate, list[str]] = defaultdict(list)
    for row in rows:
        fate = Fate(row.fate)
        counts[fate] = row.records
        keys[fate].append(row.key)
    return {fate: Keys(count, keys[fate]) for fate, count in counts.items()}


def _lives(span: Span, among: Sequence[Condition]) -> Subquery:
    """These records, each with what its earlier states say: how many are kept, the first run of them, whether there is
    one of the span."""
    version = record_versions.c
    has_versions = (version.record_id == records.c.record_id) & (records.c.revision > 1)
    within = func.max(case((_between(version.run_id, span), 1), else_=0))
    states = (
        func.count(version.run_id).label("states"),
        func.min(version.run_id).label("first"),
        within.label("within"),
    )
    rows = select(*_LIFE, *states).select_from(records.outerjoin(record_versions, has_versions))
    return rows.where(*among).group_by(*_LIFE).subquery()


def _fate(lives: Subquery, span: Span) -> ColumnElement[str | None]:
    """As `fate_of`, in its order."""
    life = lives.c
    is_complete = life.revision <= 1 + func.coalesce(life.states, 0)
    first = case((life.first < life.run_id, life.first), else_=life.run_id)
    is_later = case((is_complete, first > span.high), else_=life.first_seen_at > span.until)
    was_before = case((is_complete, first <= span.low), else_=life.first_seen_at <= span.since)
    was_gone = and_(life.gone_at.is_not(None), life.gone_at <= span.since)
    went = and_(life.gone_at.is_not(None), life.gone_at <= span.until)
    wrote = or_(_between(life.run_id, span), life.within == 1)
    overwritten = life.run_id > span.high
    return case(
        (or_(is_later, was_gone), null()),
        (and_(went, was_before), str(Fate.GONE)),
        (went, null()),
        (~was_before, str(Fate.ADDED)),
        (wrote, str(Fate.CHANGED)),
        (and_(overwritten, is_complete), null()),
        (overwritten, str(Fate.UNKNOWN)),
        *_presence(lives, span),
        else_=null(),
    )


def _presence(lives: Subquery, span: Span) -> list[tuple[Condition, ColumnElement[Any] | str]]:
    life = lives.c
    if span.after_seq is None or span.through_seq is None:
        return []
    there = life.gone_at.is_(None)
    return [
        (and_(there, life.change_seq <= span.through_seq), str(Fate.RETURNED)),
        (there, str(Fate.UNKNOWN)),
    ]


def _between(run_id: ColumnElement[int], span: Span) -> Condition:
    return and_(run_id > span.low, run_id <= span.high)
