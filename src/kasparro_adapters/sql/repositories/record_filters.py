"""The filters and the orders of records as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Text, UnaryExpression, false, func, literal, literal_column, or_, select, tuple_
from sqlalchemy.sql.operators import custom_op

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.identity_tables import entities, entity_links, entity_mentions
from kasparro_adapters.sql.ordering import order_text
from kasparro_adapters.sql.tables import LISTED, records, value_order
from kasparro_adapters.sql.types import BigId
from kasparro_core.model import Order, Place, RecordQuery, SortField

_BOUNDS: dict[SortField, tuple[str | None, str | None]] = {
    SortField.RECORD_ID: (None, None),
    SortField.OCCURRED_AT: ("start_date", "end_date"),
    SortField.UPDATED_AT: ("updated_since", None),
    SortField.VALUE: ("min_value", "max_value"),
}
"""The filters that bound an order's field, from below and from above."""

_EQUAL = ("symbol", "source", "kind")
"""The columns that are compared for equality, that first which most likely leaves the fewest records."""


def is_bounded(query: RecordQuery, field: SortField) -> bool:
    """The query asks for a range of the field, in which records without a value are not."""
    return any(name is not None and getattr(query, name) is not None for name in _BOUNDS[field])


def without_implied(query: RecordQuery, order: Order, after: Place) -> RecordQuery:
    """The query without the bound that every record behind this place is inside of.

    Of two bounds on one side a database may walk from the one where all pages begin.
    """
    low, high = _BOUNDS[order.field]
    name = high if order.descending else low
    bound = None if name is None else getattr(query, name)
    if name is None or bound is None or after.value is None:
        return query
    inside = after.value <= bound if order.descending else after.value >= bound
    return replace(query, **{name: None}) if inside else query


def further(order: Order, place: Place) -> ColumnElement[bool]:
    """The record's id lies behind that of the place."""
    return _behind(order, records.c.record_id, literal(place.record_id, BigId))


def _behind(order: Order, here: ColumnElement[Any], there: ColumnElement[Any]) -> ColumnElement[bool]:
    return here < there if order.descending else here > there


class Filters:
    """SQL conditions for one kind of database.

    SQLite keeps no statistics: it takes an equal column for the way to ten rows, and would sort a whole source to read
    one page of it. So what is read in an order is read along the index of that order, and columns that few values share
    are hidden from the search for another one.

    PostgreSQL's statistics do not tell where in an order the records of a source are: it takes them for spread evenly,
    and would walk back through all younger ones to read a page of those that were loaded first. So records of a source
    (kind, symbol) in the order of their ids are asked for in the order of the index that lists them.
    """

    def __init__(self, database: Database, dialect: str) -> None:
        self._database = database
        self._sqlite = dialect == "sqlite"

    def conditions(self, query: RecordQuery, *, along: str | None = None) -> Iterator[ColumnElement[bool]]:
        """All filters of a query but the one that `listed` gives. `along`: the column that is read in order."""
        yield from self.indexed(query, along=along)
        if query.entity is not None:
            yield _linked(query.entity)
        if query.gone is not None:
            yield records.c.gone_at.is_not(None) if query.gone else records.c.gone_at.is_(None)
        if query.q is not None:
            yield self._database.contains(records.c.title_folded, query.q.casefold())

    def indexed(self, query: RecordQuery, *, along: str | None = None) -> Iterator[ColumnElement[bool]]:
        """The filters that an index finds, those first that leave the fewest records."""
        yield from self._equalities(query, along)
        yield from self._bounds(query)

    def sorted_by(self, field: SortField) -> ColumnElement[Any]:
        """The column that is compared: for values on SQLite the text that sorts as they do."""
        return value_order if self._sqlite and field is SortField.VALUE else records.c[field.value]

    def is_known(self, field: SortField) -> ColumnElement[bool]:
        """The record has a value of the field. SQLite finds the first one in an index by a bound alone."""
        column = self.sorted_by(field)
        return column >= literal_column("''") if self._sqlite else column.is_not(None)

    def behind(self, order: Order, place: Place) -> Iterator[ColumnElement[bool]]:
        """What lies behind a place among the records that have a value of the order's field, range after range.

        Of a pair SQLite looks up the first column alone: it would walk over all equal values before a place.
        """
        column, value = self.sorted_by(order.field), self._comparable(place.value)
        given = literal(value, column.type)
        if self._sqlite:
            yield (column == given) & further(order, place)
            yield _behind(order, column, given)
        else:
            yield self._behind_pair(order, column, given, place)

    def listing(self, query: RecordQuery, along: str | None) -> str | None:
        """The equal column that stands before record_id in the index by which PostgreSQL lists these records."""
        if self._sqlite or along != SortField.RECORD_ID:
            return None
        return next((name for name in _EQUAL if getattr(query, name) is not None), None)

    def listed(self, name: str, query: RecordQuery, order: Order, after: Place | None) -> Iterator[ColumnElement[bool]]:
        """The records with the wanted value of the listing column, behind a place. By bounds: a column that `=` makes
        a constant is in no order, so that any index over record_id would do."""
        column, wanted = self.column(name), literal(getattr(query, name), Text)
        least, most = column >= wanted, column <= wanted
        if after is None:
            yield from (least, most)
        else:
            yield from (least if order.descending else most, self._behind_pair(order, column, wanted, after))

    def _behind_pair(
        self, order: Order, column: ColumnElement[Any], given: ColumnElement[Any], place: Place
    ) -> ColumnElement[bool]:
        return _behind(order, tuple_(column, records.c.record_id), tuple_(given, literal(place.record_id, BigId)))

    def _equalities(self, query: RecordQuery, along: str | None) -> Iterator[ColumnElement[bool]]:
        in_sight, listing = _in_sight(query, along), self.listing(query, along)
        for name in _EQUAL:
            if (wanted := getattr(query, name)) is None or name == listing:
                continue
            column, value = self.column(name), literal(wanted, Text)
            if self._sqlite:
                yield (column if in_sight in (None, name) else _unindexed(column)) == value
            elif listing is None:
                yield column == value
            else:  # found by no index, and taken for every second record: never worth reading all of them
                yield func.coalesce(column == value, false())

    def column(self, name: str) -> ColumnElement[str]:
        """A column that is compared for equality, as the index knows it by which records are listed."""
        column = records.c[name]
        return column if self._sqlite or name != "source" else column.collate(LISTED)

    def _bounds(self, query: RecordQuery) -> Iterator[ColumnElement[bool]]:
        for field, (low, high) in _BOUNDS.items():
            column = self.sorted_by(field)
            if low is not None and (least := getattr(query, low)) is not None:
                yield column >= self._comparable(least)
            if high is not None and (most := getattr(query, high)) is not None:
                yield column <= self._comparable(most)

    def _comparable(self, value: Any) -> datetime | Decimal | str:
        return order_text(value) if self._sqlite and isinstance(value, Decimal) else value


def _in_sight(query: RecordQuery, along: str | None) -> str | None:
    """The one column, of those compared for equality, by whose index SQLite may read; None: any."""
    if along in (None, records.c.change_seq.name):  # who follows the feed has read what lies before, once
        return along
    if query.symbol is not None:
        return "symbol"
    if along == SortField.RECORD_ID and query.source is not None:
        return "source"
    return "kind" if along == SortField.RECORD_ID else along


def _unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """The same value as an expression, which is in no index (https://www.sqlite.org/optoverview.html#uplus)."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _linked(entity: str) -> ColumnElement[bool]:
    """By the ids of its records: both databases look them up by the indexes of assets and of mentions, however many
    others there are."""
    link, mention, table = entity_links.c, entity_mentions.c, records.alias().c
    merged_into = select(entities.c.merged_into).where(entities.c.entity_id == entity).scalar_subquery()
    meant = func.coalesce(merged_into, literal(entity, Text))
    linked = select(table.record_id).where(
        link.entity_id == meant, link.source == table.source, link.external_id == table.external_id
    )
    called = select(entities.c.entity_id).where(or_(entities.c.entity_id == meant, entities.c.merged_into == meant))
    mentioned = select(table.record_id).where(
        mention.entity_id.in_(called), mention.source == table.source, mention.key == table.key
    )
    return records.c.record_id.in_(linked.union_all(mentioned))
