"""Records out of the store, page by page, as NDJSON or CSV lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from kasparro_app.views import RECORD_FIELDS, View, json_object, stored_record_view
from kasparro_core.model import Order, Place, RecordQuery, StoredRecord
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json, rfc3339
from kasparro_core.ports import Store

PAGE: Final = 250
"""Rows of one read. To read and write them takes some milliseconds, in which a server answers nobody else."""
OLDEST_FIRST = Order(descending=False)
_LINE_END = "\r\n"
_FORMULA: Final = re.compile(r"[\t\r\n]|[\s\u200b\ufeff]*(?:[=+\-@\uff1d\uff0b\uff0d\uff20]|dde\s*\()", re.IGNORECASE)
"""What a cell is taken for code by (OWASP: CSV injection). Spreadsheets pass over blanks, some take full-width signs
for the common ones, and a call of DDE may stand without any."""


async def matching(
    store: Store, query: RecordQuery, limit: int | None = None, *, order: Order = OLDEST_FIRST
) -> AsyncIterator[StoredRecord]:
    """Matching records in an order; each page is a read transaction of its own."""
    after: Place | None = None
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        async with store.begin(write=False) as work:
            page = await work.records.select(query, order=order, after=after, limit=size)
        for stored in page:
            yield stored
        if len(page) < size:
            return
        after = order.place_of(page[-1])
        left = None if left is None else left - len(page)


def ndjson_line(stored: StoredRecord) -> str:
    """One record as a JSON object, without the line end."""
    return json_object(stored_record_view(stored))


def csv_header() -> str:
    """The first line of an export as CSV."""
    return csv_lines([RECORD_FIELDS]).removesuffix(_LINE_END)


def csv_line(stored: StoredRecord) -> str:
    """One record as a CSV line that a spreadsheet cannot take for a formula, without the line end."""
    return csv_lines([cells(stored_record_view(stored), RECORD_FIELDS)]).removesuffix(_LINE_END)


def cells(view: View, columns: Sequence[str]) -> Iterator[str]:
    """These members as texts that a spreadsheet cannot take for formulas."""
    return (_cell(view[column]) for column in columns)


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Rows of cells as CSV (RFC 4180), each with its line end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=_LINE_END).writerows(rows)  # quotes what its line end consists of
    return buffer.getvalue()


def _cell(value: Any) -> str:
    """Numbers and times as they are; texts that a spreadsheet would run are led by an apostrophe."""
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if _FORMULA.match(value) else value
        case Decimal():
            return canonical_decimal(value)
        case datetime():
            return rfc3339(value)
        case dict():
            return canonical_json(value)
        case _:
            return str(value)
