"""What GET /data takes: its parameters, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from kasparro_app.api.cursors import decode_cursor, encode_cursor
from kasparro_app.api.operation import Parameters
from kasparro_app.api.problems import Fault, Problem, bad_parameter
from kasparro_app.ids import MOST_ID
from kasparro_app.views import RECORD_FIELDS
from kasparro_core.model import NEWEST_FIRST, Order, Place, RecordQuery, SortField, StoredRecord
from kasparro_core.normalize.decimals import MAX_DIGITS, MAX_EXPONENT, decimal

PAGE_LIMIT: Final = 50
MOST_ROWS: Final = 1000
_KIND: Final = "data"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+ -][0-9]{2}:[0-9]{2})?"
)
_DATE_WORDS: Final = "a day (2026-01-31) or an instant in RFC 3339 (2026-01-31T10:00:00Z)"
_DATE_SCHEMA: Final = {
    "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
    "expected": _DATE_WORDS,
}
_FIELD: Final = "|".join(RECORD_FIELDS)


def _moment(text: str) -> datetime:
    """A day (its first instant) or an instant; without a zone it is UTC. A `+` that the query string made a blank is
    still one."""
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if _INSTANT.fullmatch(text.upper()):
            whole = re.sub(r" (?=..:..$)", "+", text.upper()) if len(text) > len("2026-01-31 10:00") else text
            read = datetime.fromisoformat(whole)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):  # 2026-02-30; 0001-01-01T00:00:00+10:00 lies before all instants
        pass
    raise ValueError(_DATE_WORDS)


def _end(text: str) -> datetime:
    """The same; a day counts to its last instant."""
    moment = _moment(text)
    return moment.replace(hour=23, minute=59, second=59, microsecond=999_999) if _DAY.fullmatch(text) else moment


def _number(text: str) -> Decimal:
    number = decimal(text)
    if not isinstance(number, Decimal):
        raise ValueError(f"a number of at most {MAX_DIGITS:,} digits within 1E±{MAX_EXPONENT}")
    return number


def _names(text: str) -> tuple[str, ...]:
    """Names of fields in the order given, each once."""
    names = dict.fromkeys(text.split(","))
    if not names.keys() <= set(RECORD_FIELDS):
        raise ValueError(f"a list, separated by commas, of {', '.join(RECORD_FIELDS)}")
    return tuple(names)


Start = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_DATE_SCHEMA)]
End = Annotated[datetime, BeforeValidator(_end), WithJsonSchema(_DATE_SCHEMA)]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Fields = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({_FIELD})(,({_FIELD}))*$",
            "expected": f"a list, separated by commas, of {', '.join(RECORD_FIELDS)}",
        }
    ),
]
Sort = Literal["occurred_at", "-occurred_at", "updated_at", "-updated_at", "value", "-value"]
Decimals = Literal["number", "string"]


class DecimalsQuery(Parameters):
    """How numbers are written."""

    decimals: Decimals = Field("number", description="Whether Decimals are JSON numbers or strings.")


class DataQuery(DecimalsQuery):
    """What GET /data takes."""

    limit: int | None = Field(
        None,
        ge=1,
        le=MOST_ROWS,
        description="At most so many rows (50). Without it, ndjson and csv hold the whole result.",
    )
    cursor: str | None = Field(
        None, min_length=1, max_length=4096, description="`next_cursor` of the page before, with the same parameters."
    )
    offset: int | None = Field(
        None,
        ge=0,
        le=10**12,
        description="Leave out so many rows first. For old clients: a cursor is faster and exact.",
    )
    page: int | None = Field(None, ge=1, le=10**9, description="The page, from 1. For old clients.")
    page_size: int | None = Field(None, ge=1, le=MOST_ROWS, description="The rows of a page (50). For old clients.")
    source: Text | None = Field(None, description="Only this source.")
    kind: Text | None = Field(None, description="Only this kind: quote, candle, article, item ...")
    category: Text | None = Field(None, description="The same as `kind`.")
    entity: Text | None = Field(None, description="Only what is linked to this entity.")
    symbol: Text | None = Field(None, description="Only this symbol, in either case.")
    q: Text | None = Field(None, description="Only titles that hold this text, whatever the case.")
    start_date: Start | None = Field(None, description="Occurred then or later.")
    end_date: End | None = Field(None, description="Occurred then or earlier; a day counts whole.")
    updated_since: Start | None = Field(None, description="Content fetched then or later.")
    min_value: Number | None = Field(None, description="The value is at least this.")
    max_value: Number | None = Field(None, description="The value is at most this.")
    gone: bool | None = Field(None, description="true: only what its source no longer lists; false: only the rest.")
    sort: Sort | None = Field(
        None,
        description="With `-` descending. Records without a value come last. Absent: record_id, descending.",
    )
    after_seq: int | None = Field(
        None, ge=0, le=MOST_ID, description="The change feed: what changed after this `next_seq` (first: 0), in order."
    )
    fields: Fields | None = Field(None, description="Only these members, in this order, separated by commas.")
    count: Literal["none", "estimated", "exact"] = Field(
        "none", description="Whether `pagination.total` (ndjson and csv: X-Total-Count) tells how many match."
    )
    format: Literal["json", "ndjson", "csv"] | None = Field(
        None, description="The form of the answer; goes before `Accept`."
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read: `after_seq` makes it the change feed. `limit` is None where none was asked for."""

    query: RecordQuery
    order: Order
    after: Place | None
    after_seq: int | None
    offset: int
    limit: int | None

    def cursor_behind(self, last: StoredRecord) -> str:
        """The cursor for what follows after a record."""
        place = self.order.place_of(last)
        return encode_cursor(_KIND, _binding(self.query, self.order), [place.record_id, place.value])


def reading_of(asked: DataQuery) -> Reading:
    """What the parameters come to. Raises Problem (422) for those that contradict one another."""
    _refuse_pairs(asked)
    _refuse_reversed(asked)
    query, order = _query(asked), _order(asked.sort)
    return Reading(
        query=query,
        order=order,
        after=None if asked.cursor is None else _place(asked.cursor, query, order),
        after_seq=asked.after_seq,
        offset=asked.offset or 0 if asked.page is None else (asked.page - 1) * (asked.page_size or PAGE_LIMIT),
        limit=asked.limit or asked.page_size or (None if asked.page is None else PAGE_LIMIT),
    )


_APART: Final[Sequence[tuple[str, ...]]] = (
    ("cursor", "offset", "page"),
    ("after_seq", "cursor"),
    ("after_seq", "offset"),
    ("after_seq", "page"),
    ("after_seq", "sort"),
    ("limit", "page_size"),
)


def _refuse_pairs(asked: DataQuery) -> None:
    for names in _APART:
        given = [name for name in names if getattr(asked, name) is not None]
        if len(given) > 1:
            raise _contradiction(given, f"only one of {', '.join(names)}")
    if asked.kind and asked.category and asked.kind != asked.category:
        raise _contradiction(["kind", "category"], "the same in kind and category, or one of them")


def _refuse_reversed(asked: DataQuery) -> None:
    start, end, low, high = asked.start_date, asked.end_date, asked.min_value, asked.max_value
    if start is not None and end is not None and start > end:
        raise _contradiction(["start_date", "end_date"], "a start_date that is not after end_date")
    if low is not None and high is not None and low > high:
        raise _contradiction(["min_value", "max_value"], "a min_value that is not above max_value")


def _contradiction(names: Sequence[str], expected: str) -> Problem:
    faults = [Fault(name, "query", expected) for name in names]
    return Problem(422, "Bad parameter", f"{', '.join(names)}: expected {expected}", faults)


def _query(asked: DataQuery) -> RecordQuery:
    return RecordQuery(
        source=asked.source,
        kind=asked.kind or asked.category,
        symbol=None if asked.symbol is None else asked.symbol.upper(),
        q=asked.q,
        start_date=asked.start_date,
        end_date=asked.end_date,
        updated_since=asked.updated_since,
        min_value=asked.min_value,
        max_value=asked.max_value,
        entity=asked.entity,
        gone=asked.gone,
    )


def _order(sort: str | None) -> Order:
    return NEWEST_FIRST if sort is None else Order(SortField(sort.removeprefix("-")), descending=sort[0] == "-")


_VALUES: Final[dict[SortField, Any]] = {
    SortField.RECORD_ID: type(None),
    SortField.OCCURRED_AT: datetime | None,
    SortField.UPDATED_AT: datetime,
    SortField.VALUE: Decimal | None,
}


def _place(cursor: str, query: RecordQuery, order: Order) -> Place:
    record_id, value = decode_cursor(cursor, _KIND, _binding(query, order), (int, _VALUES[order.field]))
    if record_id < 0:
        raise bad_parameter("cursor", "a cursor as the answer before gave it", cursor[:80])
    return Place(record_id, value)


def _binding(query: RecordQuery, order: Order) -> dict[str, Any]:
    return {**asdict(query), "sort": order.field, "descending": order.descending}
