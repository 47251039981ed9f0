"""Whole results, page by page: bounded memory, and no transaction that waits for the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from kasparro_app.api.answers import row_text
from kasparro_app.api.routes.records_query import Reading
from kasparro_app.export import PAGE, cells, csv_lines
from kasparro_app.service import Service
from kasparro_app.views import sparse_view
from kasparro_core.model import StoredRecord
from kasparro_core.ports import UnitOfWork

Lines = Callable[[Sequence[StoredRecord]], str]
"""The text of some records, each with its line end."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of lines: its media type, what stands in front of all lines, and how records are written."""

    media: str
    head: str
    lines: Lines


def ndjson_form(fields: Sequence[str], decimals: str) -> Form:
    """One JSON object a line."""

    def lines(page: Sequence[StoredRecord]) -> str:
        return "".join([row_text(sparse_view(stored, fields), decimals=decimals) + "\n" for stored in page])

    return Form("application/x-ndjson", "", lines)


def csv_form(fields: Sequence[str]) -> Form:
    """CSV (RFC 4180) whose first line names the columns."""

    def lines(page: Sequence[StoredRecord]) -> str:
        return csv_lines(cells(sparse_view(stored, fields), fields) for stored in page)

    return Form("text/csv; charset=utf-8; header=present", csv_lines([fields]), lines)


async def read_page(work: UnitOfWork, reading: Reading, limit: int) -> list[StoredRecord]:
    """The next records of a reading."""
    if reading.after_seq is not None:
        return await work.records.changes(reading.query, after_seq=reading.after_seq, limit=limit)
    return await work.records.select(
        reading.query, order=reading.order, after=reading.after, offset=reading.offset, limit=limit
    )


async def whole(
    service: Service, reading: Reading, form: Form, first: Sequence[StoredRecord], *, until: int
) -> AsyncIterator[bytes]:
    """Everything from the first page (of PAGE rows) on; of the change feed what has changed up to `until`.

    Between two pages no transaction is open, so that a caller may take its time, and the others have their turn. A
    StorageError goes on up: the connection is cut, and nobody takes what came so far for everything.
    """
    page = _known(reading, first, until)
    yield (form.head + form.lines(page)).encode()
    while len(page) == PAGE:
        reading = _behind(reading, page[-1])
        async with service.stream_turns:
            async with service.store.begin(write=False) as work:
                page = _known(reading, await read_page(work, reading, PAGE), until)
            lines = form.lines(page).encode()
        if lines:
            yield lines


def _behind(reading: Reading, last: StoredRecord) -> Reading:
    if reading.after_seq is not None:
        return replace(reading, after_seq=last.change_seq)
    return replace(reading, after=reading.order.place_of(last), offset=0)


def _known(reading: Reading, page: Sequence[StoredRecord], until: int) -> Sequence[StoredRecord]:
    """Without what changed after the stream began: a feed that is written to faster than it is read has an end too."""
    if reading.after_seq is None:
        return page
    return [stored for stored in page if stored.change_seq <= until]
