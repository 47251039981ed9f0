"""The filters and the orders of records as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Text, UnaryExpression, exists, literal, literal_column, tuple_
from sqlalchemy.sql.operators import custom_op

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.ordering import order_text
from kasparro_adapters.sql.service_tables import entity_links
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
    column = records.c.record_id
    return column < place.record_id if order.descending else column > place.record_id


class Filters:
    """SQL conditions for one kind of database.

    SQLite keeps no statistics: it takes an equal column for the way to ten rows, and would sort a whole source to read
    one page of it. So what is read in an order is read along the index of that order, and columns that few values share
    are hidden from the search for another one.
    """

    def __init__(self, database: Database, dialect: str) -> None:
        self._database = database
        self._sqlite = dialect == "sqlite"

    def conditions(self, query: RecordQuery, *, along: str | None = None) -> Iterator[ColumnElement[bool]]:
        """All filters of a query, those with an index of their own first. `along`: the column that is read in order."""
        yield from self._equalities(query, along)
        yield from self._bounds(query)
        if query.entity is not None:
            yield _linked(query.entity)
        if query.gone is not None:
            yield records.c.gone_at.is_not(None) if query.gone else records.c.gone_at.is_(None)
        if query.q is not None:
            yield self._database.contains(records.c.title_folded, query.q.casefold())

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
            yield column < given if order.descending else column > given
        else:
            found, here = tuple_(column, records.c.record_id), tuple_(given, literal(place.record_id, BigId))
            yield found < here if order.descending else found > here

    def _equalities(self, query: RecordQuery, along: str | None) -> Iterator[ColumnElement[bool]]:
        in_sight = _in_sight(query, along) if self._sqlite else None
        for name in ("symbol", "source", "kind"):
            if (wanted := getattr(query, name)) is not None:
                column = self._listed(records.c[name])
                yield (column if in_sight in (None, name) else _unindexed(column)) == literal(wanted, Text)

    def _listed(self, column: ColumnElement[str]) -> ColumnElement[str]:
        """The column as the index knows it by which records are listed."""
        return column if self._sqlite or column is not records.c.source else column.collate(LISTED)

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
    if along is None:
        return None
    if query.symbol is not None:
        return "symbol"
    if along == SortField.RECORD_ID and query.source is not None:
        return "source"
    return "kind" if along == SortField.RECORD_ID else along


def _unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """The same value as an expression, which is in no index (https://www.sqlite.org/optoverview.html#uplus)."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _linked(entity: int) -> ColumnElement[bool]:
    link, table = entity_links.c, records.c
    return exists().where(link.entity_id == entity, link.source == table.source, link.external_id == table.external_id)
