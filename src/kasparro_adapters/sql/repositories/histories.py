"""What is looked at when a run has ended: slim rows, along the indexes that are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Numeric,
    Row,
    Select,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.identity_tables import entity_links
from kasparro_adapters.sql.repositories.record_queries import RecordQueries
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import record_versions, records
from kasparro_core.model import Order, RecordQuery, SortField
from kasparro_core.model.latest import MOST_FIGURE, MOST_RANK, Earlier, Late, Latest, Twin

_QUOTE = "quote"
_FIGURES = {"rank": BigInteger, "market_cap": Double, "volume_24h": Double}
_PLAIN = ("record_id", "key", "external_id", "symbol", "value", "currency", "occurred_at", "updated_at")
_STATE = ("value", "currency", "occurred_at", "observed_at")
_DECIMALS = 300
"""Smaller ones than have so many are zero; the driver would refuse them."""

_LAST_SEEN = Order(SortField.UPDATED_AT)
_LAST_ADDED = Order()


class SqlHistories(RecordQueries):
    """The Histories of one transaction; records are found as they are for other readers."""

    def __init__(self, session: Session, database: Database) -> None:
        super().__init__(session, database)
        self._database = database

    async def changed(
        self, source: str, kind: str, run_id: int, since: datetime, /, *, limit: int = 20_000
    ) -> Sequence[Latest]:
        """Along the index of when records were seen: what other sources wrote meanwhile is walked over."""
        query = RecordQuery(source=source, kind=kind, updated_since=since, gone=False)
        (conditions,) = self._ranges(query, _LAST_SEEN, None)
        figures = map(self._figure, _FIGURES) if kind == _QUOTE else ()  # their kind makes sure of numbers
        statement = (
            select(*_columns(records.c, _PLAIN), _before(), *figures)
            .where(*conditions, records.c.run_id == run_id)
            .order_by(*self._columns(query, _LAST_SEEN), records.c.record_id.desc())
            .limit(limit)
        )
        return [_latest(row) for row in await self._session.all(statement)]

    async def newest(self, source: str, kind: str, /, *, limit: int = 20_000) -> Sequence[Latest]:
        """Along the index that lists the records of a source."""
        query = RecordQuery(source=source, kind=kind, gone=False)
        statement = self._listed(query).order_by(*self._columns(query, _LAST_ADDED)).limit(limit)
        return [_latest(row) for row in await self._session.all(statement)]

    async def silent(
        self, source: str, kind: str, before: datetime, /, *, revisions: int, limit: int = 500
    ) -> Sequence[Latest]:
        """All records of the source are walked over, and few of them read."""
        table = records.c
        statement = (
            self._listed(RecordQuery(source=source, kind=kind, gone=False))
            .where(table.updated_at < before, table.revision >= revisions)
            .order_by(func.coalesce(table.updated_at, table.updated_at).desc(), (table.record_id + 0).desc())
            .limit(limit)
        )
        return [_latest(row) for row in await self._session.all(statement)]

    async def earlier(self, record_ids: Sequence[int], /, *, limit: int = 30) -> Mapping[int, Sequence[Earlier]]:
        """Of each record the end of its index."""
        found: defaultdict[int, list[Earlier]] = defaultdict(list)
        if record_ids:
            for row in await self._session.all(self._ends(record_ids, limit)):
                found[row[0]].append(Earlier._make(row[1:]))
        return found

    async def late(self, source: str, run_id: int, since: datetime, /, *, limit: int = 1_000) -> Sequence[Late]:
        """Along the index of when versions were observed: a sum that is in no index keeps a database to it."""
        version, table = record_versions.c, records.c
        statement = (
            select(table.key, table.occurred_at, version.occurred_at, version.observed_at)
            .join(records, table.record_id == version.record_id)
            .where(version.observed_at >= since, version.run_id == run_id, table.source + "" == source)
            .where(version.occurred_at < table.occurred_at, version.observed_at > table.updated_at)
            .where(table.run_id != run_id)
            .order_by(version.observed_at.desc(), version.version_id.desc())
            .limit(limit)
        )
        return [Late._make(row) for row in await self._session.all(statement)]

    async def twins(self, source: str, external_ids: Sequence[str], /) -> Sequence[Twin]:
        """From link to link to record, each by its key."""
        if not external_ids:
            return []
        mine, other, table = entity_links.alias("mine").c, entity_links.alias("other").c, records.c
        at = func.coalesce(table.occurred_at, table.updated_at, type_=table.updated_at.type)
        statement = (
            select(mine.external_id, mine.entity_id, other.source, table.record_id, table.value, table.currency, at)
            .where(mine.source == source, self._database.among(mine.external_id, external_ids))
            .where(other.entity_id == mine.entity_id, other.source != source)
            .where(table.source == other.source, table.key == other.external_id)
            .where(table.external_id == other.external_id, table.kind + "" == _QUOTE)
            .where(table.gone_at.is_(None), table.value.is_not(None))
            .order_by(other.source, table.record_id)
        )
        return [Twin._make(row) for row in await self._session.all(statement)]

    def _listed(self, query: RecordQuery) -> Select[Any]:
        (conditions,) = self._ranges(query, _LAST_ADDED, None)
        return select(*_columns(records.c, _PLAIN)).where(*conditions)

    def _ends(self, record_ids: Sequence[int], limit: int) -> Select[Any]:
        """The last versions of each record. SQLite has no LATERAL, and looks each of them up by its id."""
        version, wanted = record_versions.alias("v"), records.c.record_id.in_(record_ids)
        last = select(version).where(version.c.record_id == records.c.record_id)
        last = last.order_by(version.c.observed_at.desc(), version.c.raw_id.desc(), version.c.raw_index.desc())
        if self._session.dialect == "sqlite":
            ids = last.with_only_columns(version.c.version_id).limit(limit).correlate(records)
            joined = record_versions.c.version_id.in_(ids.scalar_subquery())
            table, found = (
                _all(record_versions),
                select(records.c.record_id).join_from(records, record_versions, joined),
            )
        else:
            ends = last.limit(limit).lateral("ends")
            table, found = _all(ends), select(records.c.record_id).join_from(records, ends, true())
        order = (table[name].desc() for name in ("observed_at", "raw_id", "raw_index"))
        return found.add_columns(*_columns(table, _STATE)).where(wanted).order_by(records.c.record_id, *order)

    def _figure(self, name: str) -> ColumnElement[Any]:
        """A number among the attributes of a quote, brought to where its type can hold it."""
        most: ColumnElement[Any] = literal_column(str(MOST_RANK) if name == "rank" else f"{MOST_FIGURE:E}")
        if self._session.dialect == "sqlite":
            return cast(_bounded(func.json_extract(records.c.attributes, f"$.{name}"), most), _FIGURES[name])
        figure = cast(func.jsonb_extract_path_text(records.c.attributes, name), Numeric)
        return cast(func.round(_bounded(figure, most), _DECIMALS), _FIGURES[name])


def _bounded(figure: ColumnElement[Any], most: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((figure > most, most), (figure < -most, -most), else_=figure)


def _all(table: FromClause) -> Mapping[str, ColumnElement[Any]]:
    return {column.key: column for column in table.columns}


def _columns(table: Any, names: Iterable[str]) -> list[ColumnElement[Any]]:
    return [table[name] for name in names]


def _before() -> ColumnElement[Any]:
    """The value of the version that was observed last. What has only one state is not looked up."""
    version, table = record_versions.c, records.c
    value = (
        select(version.value)
        .where(version.record_id == table.record_id, version.currency.is_not_distinct_from(table.currency))
        .order_by(version.observed_at.desc(), version.raw_id.desc(), version.raw_index.desc())
        .limit(1)
        .scalar_subquery()
    )
    return case((table.revision > 1, value), else_=None)


def _latest(row: Row[Any]) -> Latest:
    """As far as the columns go."""
    cells: Sequence[Any] = row
    return Latest(*cells)
