"""GET /data: a page of records as JSON, or all of them as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response, StreamingResponse

from kasparro_app.api.answers import JSON, etag_of, next_link, not_modified, page_answer
from kasparro_app.api.media import preferred
from kasparro_app.api.operation import Call
from kasparro_app.api.problems import Problem
from kasparro_app.api.routes.records_query import PAGE_LIMIT, DataQuery, Reading, reading_of
from kasparro_app.api.streaming import Form, csv_form, ndjson_form, read_page, whole
from kasparro_app.export import PAGE
from kasparro_app.version import program_version
from kasparro_app.views import RECORD_FIELDS, sparse_view
from kasparro_core.model import EVERY_RECORD, RecordQuery, StoredRecord
from kasparro_core.ports import UnitOfWork

_OFFERS: Final[Mapping[str, Sequence[str]]] = {
    "json": (JSON,),
    "ndjson": ("application/x-ndjson", "application/ndjson", "application/jsonl"),
    "csv": ("text/csv",),
}
_VARY: Final = {"Vary": "Accept"}


@dataclass(frozen=True, slots=True)
class Found:
    """What one transaction has read: a page and one row more where there is more (the feed: exactly a page), how many
    match, and the highest change_seq at that time."""

    rows: Sequence[StoredRecord]
    total: int | None
    last_change: int


async def data(call: Call) -> Response:
    """The records asked for. Raises Problem: 406, 422."""
    asked: DataQuery = call.query
    form = asked.format or _wanted(call.request.headers.getlist("accept"))
    reading = reading_of(asked)
    limit = reading.limit or (PAGE_LIMIT if form == "json" else None)
    async with call.service.store.begin(write=False) as work:
        last = await work.records.last_change()
        headers = _conditions(asked, reading, form, await _state(work, last))
        unchanged = not_modified(call, headers["ETag"], headers=_VARY) if "ETag" in headers else None
        if unchanged is not None:
            return unchanged
        total = await _total(work, reading.query, asked.count)
        more = 0 if limit is None or reading.after_seq is not None else 1
        found = Found(await read_page(work, reading, (limit or PAGE) + more), total, last)
    if form == "json":
        return _json_page(call, reading, found, limit or PAGE_LIMIT, headers)
    return _lines(call, reading, found, limit, form, headers)


def _wanted(accept: Sequence[str]) -> str:
    wanted = preferred(", ".join(accept), _OFFERS)
    if wanted is None:
        known = ", ".join(types[0] for types in _OFFERS.values())
        raise Problem(406, "Not Acceptable", f"This can be had as {known}; `format` goes before `Accept`.")
    return wanted


async def _state(work: UnitOfWork, last_change: int) -> Sequence[object]:
    """What tells one state of all records from every other. The number alone does not: another database in the place
    of this one (a new one, one from a backup) comes to the same number with other records."""
    newest = await work.records.changes(EVERY_RECORD, after_seq=last_change - 1, limit=1)
    return last_change, [(stored.content_hash, stored.updated_at) for stored in newest]


def _conditions(asked: DataQuery, reading: Reading, form: str, state: Sequence[object]) -> dict[str, str]:
    """Headers of the answer: what it depends on. Every change of a record moves the state; a change of links does not,
    so that what was asked by entity has no tag."""
    if reading.query.entity is not None:
        return dict(_VARY)
    tag = etag_of("data", state, reading, form, asked.fields, asked.decimals, asked.count, program_version())
    return {"ETag": tag, **_VARY}


async def _total(work: UnitOfWork, query: RecordQuery, count: str) -> int | None:
    match count:
        case "exact":
            return await work.records.count(query)
        case "estimated":
            return await work.records.estimate(query)
    return None


def _json_page(call: Call, reading: Reading, found: Found, limit: int, headers: Mapping[str, str]) -> Response:
    page, cursor, link = _page(call, reading, found, limit)
    fields = call.query.fields
    return page_answer(
        call,
        [sparse_view(stored, fields) for stored in page],
        limit=limit,
        next_cursor=cursor,
        total=found.total,
        headers={**headers, **link},
        more=None if reading.after_seq is None else {"next_seq": _next_seq(found, limit)},
    )


def _lines(
    call: Call, reading: Reading, found: Found, limit: int | None, name: str, headers: Mapping[str, str]
) -> Response:
    form = _form(call.query, name)
    told = {**headers, **_told(reading, found, limit)}
    if name == "csv":
        told["Content-Disposition"] = 'attachment; filename="records.csv"'
    if limit is None:
        body = whole(call.service, reading, form, found.rows, until=found.last_change)
        return StreamingResponse(body, headers=told, media_type=form.media)
    page, _, link = _page(call, reading, found, limit)
    return Response((form.head + form.lines(page)).encode(), headers={**told, **link}, media_type=form.media)


def _form(asked: DataQuery, name: str) -> Form:
    fields = asked.fields or RECORD_FIELDS
    return csv_form(fields) if name == "csv" else ndjson_form(fields, asked.decimals)


def _told(reading: Reading, found: Found, limit: int | None) -> dict[str, str]:
    """What stands in `pagination` of a JSON answer."""
    total = {} if found.total is None else {"X-Total-Count": str(found.total)}
    if reading.after_seq is None:
        return total
    seq = found.last_change if limit is None else _next_seq(found, limit)
    return {**total, "X-Next-Seq": str(seq)}


def _page(
    call: Call, reading: Reading, found: Found, limit: int
) -> tuple[Sequence[StoredRecord], str | None, dict[str, str]]:
    """The rows of a page, the cursor behind it, and the header that leads on; the feed goes on by `after_seq`."""
    page = found.rows[:limit]
    if reading.after_seq is not None:
        url = call.request.url.include_query_params(after_seq=_next_seq(found, limit))
        return page, None, {"Link": f'<{url.path}?{url.query}>; rel="next"'} if len(page) == limit else {}
    if len(found.rows) <= limit:
        return page, None, {}
    cursor = reading.cursor_behind(page[-1])
    return page, cursor, {"Link": next_link(call, cursor)}


def _next_seq(found: Found, limit: int) -> int:
    """Behind the page; behind everything, where the page holds all there is, so that filters leave no long way to go
    again."""
    if len(found.rows) == limit:
        return found.rows[-1].change_seq
    return max(found.last_change, found.rows[-1].change_seq if found.rows else 0)
