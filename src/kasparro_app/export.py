"""Records out of the store, page by page, as NDJSON or CSV lines."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from kasparro_app.views import View, json_object, stored_record_view
from kasparro_core.model import RecordQuery, StoredRecord
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json, rfc3339
from kasparro_core.ports import Store

PAGE = 1000
CSV_COLUMNS = (
    "record_id", "source", "key", "kind", "external_id", "title", "symbol", "value", "currency", "url", "occurred_at",
    "attributes", "content_hash", "raw_id", "raw_index", "run_id", "first_seen_at", "updated_at", "revision",
    "change_seq", "gone_at",
)  # fmt: skip
_LINE_END = "\r\n"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def matching(store: Store, query: RecordQuery, limit: int | None = None) -> AsyncIterator[StoredRecord]:
    """Matching records in ascending record_id; each page is a read transaction of its own."""
    after: int | None = None
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        async with store.begin(write=False) as work:
            page = await work.records.page(query, after=after, limit=size)
        for stored in page:
            yield stored
        if len(page) < size:
            return
        after = page[-1].record_id
        left = None if left is None else left - len(page)


def ndjson_line(stored: StoredRecord) -> str:
    """One record as a JSON object, without the line end."""
    return json_object(stored_record_view(stored))


def csv_header() -> str:
    """The first line of an export as CSV."""
    return _csv_line(CSV_COLUMNS)


def csv_line(stored: StoredRecord) -> str:
    """One record as a CSV line that a spreadsheet cannot take for a formula."""
    return _csv_line(_cells(stored_record_view(stored)))


def _cells(view: View) -> Iterator[str]:
    return (_cell(view[column]) for column in CSV_COLUMNS)


def _cell(value: Any) -> str:
    """Numbers and times as they are; texts that a spreadsheet would run are led by an apostrophe."""
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
        case Decimal():
            return canonical_decimal(value)
        case datetime():
            return rfc3339(value)
        case dict():
            return canonical_json(value)
        case _:
            return str(value)


def _csv_line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=_LINE_END).writerow(cells)  # quotes what its line end consists of
    return buffer.getvalue().removesuffix(_LINE_END)
