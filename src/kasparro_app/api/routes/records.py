"""/data: the operations on records."""

from __future__ import annotations

from typing import Final

from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.operation import Answer, Operation
from kasparro_app.api.routes.records_page import data
from kasparro_app.api.routes.records_query import DataQuery, DecimalsQuery
from kasparro_app.api.routes.records_single import RecordPath, VersionsQuery, raw, record, versions
from kasparro_app.api.shapes.records import DataAnswer, RecordAnswer, VersionsAnswer

_ETAG: Final = {"ETag": "Send it as If-None-Match: 304 says that nothing has changed."}
_SAME: Final = Answer("As before (If-None-Match).", headers=_ETAG)
_NO_RECORD: Final = Answer("There is no such record.", ProblemBody)
_ABOUT: Final = """Filters are joined by "and". The default order (record_id, descending) is the one that shows each row
once while rows change; under `sort` a row that changes meanwhile may move. A cursor holds for the same sort and filters
alone, and never expires.

ndjson and csv hold the whole result unless `limit` is given. It is read page by page while it is sent, so it is no
snapshot; if the database fails on the way, the connection is cut. CSV cells that a spreadsheet would take for formulas
are led by an apostrophe.

`after_seq` is the change feed: records in the order in which their newest change was committed."""

OPERATIONS: Final = (
    Operation(
        "GET",
        "/data",
        "Records",
        data,
        {
            200: Answer(
                "A page of records, or (ndjson, csv) all of them.",
                DataAnswer,
                media=("application/x-ndjson", "text/csv"),
                headers={
                    **_ETAG,
                    "Link": 'The next page (`rel="next"`), where there is one.',
                    "X-Total-Count": "With ndjson and csv and `count`: how many match.",
                    "X-Next-Seq": "With ndjson and csv and `after_seq`: the `after_seq` to ask with next.",
                },
            ),
            304: _SAME,
            406: Answer("None of the accepted media types can be had.", ProblemBody),
        },
        "data",
        query=DataQuery,
        description=_ABOUT,
    ),
    Operation(
        "GET",
        "/data/{record_id}",
        "One record",
        record,
        {200: Answer("The record.", RecordAnswer, headers=_ETAG), 304: _SAME, 404: _NO_RECORD},
        "data",
        query=DecimalsQuery,
        path_model=RecordPath,
    ),
    Operation(
        "GET",
        "/data/{record_id}/versions",
        "Earlier versions of a record",
        versions,
        {200: Answer("Its versions, latest first.", VersionsAnswer, headers=_ETAG), 304: _SAME, 404: _NO_RECORD},
        "data",
        query=VersionsQuery,
        path_model=RecordPath,
        description="States that it had before, and late ones that were already superseded when they arrived.",
    ),
    Operation(
        "GET",
        "/data/{record_id}/raw",
        "The bytes a record came from",
        raw,
        {
            200: Answer(
                "The payload as the source sent it, after decompression.",
                media=("application/json", "text/csv", "application/xml", "application/octet-stream"),
                headers={
                    **_ETAG,
                    "X-Raw-Id": "The id of the payload.",
                    "X-Raw-Index": "The place of the record's item in it, from 0.",
                    "X-Raw-SHA256": "The SHA-256 of the bytes.",
                    "X-Source": "The source, percent-encoded.",
                    "X-Observed-At": "When it was fetched.",
                },
            ),
            304: _SAME,
            404: Answer("There is no such record, or its payload was never kept.", ProblemBody),
            410: Answer("The payload was pruned.", ProblemBody),
        },
        "data",
        path_model=RecordPath,
    ),
)
