"""One record: what it is, what it was, and the bytes it came from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import quote

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from kasparro_app.api.answers import etag_of, json_answer, not_modified, page_answer
from kasparro_app.api.operation import Call, Parameters
from kasparro_app.api.problems import Problem, not_found
from kasparro_app.api.routes.records_query import MOST_ROWS, DecimalsQuery
from kasparro_app.api.shapes.common import Id
from kasparro_app.version import program_version
from kasparro_app.views import stored_record_view, version_view
from kasparro_core.model import Record, StoredRaw, StoredRecord
from kasparro_core.model.entity import AssetId
from kasparro_core.model.mention import Mention
from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.ports import UnitOfWork

_MEDIA: Final[Mapping[str, tuple[str, str]]] = {
    "json": ("application/json", "json"),
    "csv": ("text/csv", "csv"),
    "feed": ("application/xml", "xml"),
}
"""By the format of the decode facts: media type and the end of a file's name."""
_SLICE: Final = 256 * 1024
_INERT: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
"""Whatever a source has sent, no browser runs it as a page of this service."""


class RecordPath(Parameters):
    """The id of a record in a path."""

    record_id: Id = Field(description="The id of the record.")


class VersionsQuery(DecimalsQuery):
    """What GET /data/{record_id}/versions takes."""

    limit: int = Field(100, ge=1, le=MOST_ROWS, description="At most so many versions, the latest.")


async def record(call: Call) -> Response:
    """One record. Raises Problem: 404."""
    async with call.service.store.begin(write=False) as work:
        stored = await _record(work, call.path.record_id)
        about = await _entities(work, stored.record)
    state = (stored.record_id, stored.change_seq, stored.gone_at, stored.content_hash, stored.updated_at)
    etag = etag_of("record", *state, about, call.query.decimals, program_version())
    view = {**stored_record_view(stored), "entities": [each._asdict() for each in about]}
    return not_modified(call, etag) or json_answer(call, view, headers={"ETag": etag})


async def versions(call: Call) -> Response:
    """Its earlier versions. A late one does not count as a change of the record, so the tag is made of them all.
    Raises Problem: 404."""
    async with call.service.store.begin(write=False) as work:
        stored = await _record(work, call.path.record_id)
        earlier = await work.records.versions(stored.record_id, limit=call.query.limit)
    moments = [(version.content_hash, version.observed_at, version.raw_id, version.raw_index) for version in earlier]
    etag = etag_of("versions", stored.record_id, moments, call.query, program_version())
    headers = {"ETag": etag}
    answer = page_answer(call, map(version_view, earlier), limit=call.query.limit, next_cursor=None, headers=headers)
    return not_modified(call, etag) or answer


async def raw(call: Call) -> Response:
    """The bytes of the payload that the record's content was read from. Raises Problem: 404, 410."""
    async with call.service.store.begin(write=False) as work:
        stored = await _record(work, call.path.record_id)
        found = await _payload(work, stored)
    media, suffix = _media(found)
    headers = {
        "ETag": etag_of("raw", found.content_hash, stored.record_id, stored.raw_index, stored.updated_at),
        "Content-Disposition": f'attachment; filename="raw-{found.raw_id}.{suffix}"',
        "X-Raw-Id": str(found.raw_id),
        "X-Raw-Index": str(stored.raw_index),
        "X-Raw-SHA256": found.content_hash,
        "X-Source": quote(stored.record.source, safe=""),
        "X-Observed-At": rfc3339(stored.updated_at),
        **_INERT,
    }
    unchanged = not_modified(call, headers["ETag"])
    if unchanged is not None:
        return unchanged
    form = {"Content-Type": media, "Content-Length": str(len(found.raw.payload))}
    return StreamingResponse(_slices(found.raw.payload), headers={**headers, **form})


async def _slices(payload: bytes) -> AsyncIterator[memoryview]:
    """One after the other, as fast as the caller takes them: at once, the server would copy what he has not taken."""
    view = memoryview(payload)
    for start in range(0, len(payload), _SLICE):
        yield view[start : start + _SLICE]


async def _record(work: UnitOfWork, record_id: int) -> StoredRecord:
    stored = await work.records.get(record_id)
    if stored is None:
        raise not_found(f"There is no record {record_id}. GET /data lists those there are.")
    return stored


async def _entities(work: UnitOfWork, record: Record) -> list[Mention]:
    """What a record is about, by its own id or by its text."""
    mentions = list(await work.mentions.of(record.source, record.key))
    if record.external_id is None:
        return mentions
    asset = AssetId(record.source, record.external_id)
    links = [known.link for known in (await work.entities.claims([asset])).values()]
    return mentions + [Mention(link.entity_id, str(link.method), link.confidence) for link in links]


async def _payload(work: UnitOfWork, stored: StoredRecord) -> StoredRaw:
    if stored.raw_id is None:
        raise not_found(
            f"The payload of record {stored.record_id} was never kept: source {stored.record.source!r} is read with "
            'raw = "none".'
        )
    found = await work.raw.get(stored.raw_id)
    if found is None:
        raise Problem(410, "Gone", f"The payload of record {stored.record_id} was pruned ([retention] raw).")
    return found


def _media(found: StoredRaw) -> tuple[str, str]:
    """Media type and suffix by what is known of the bytes; a feed may be JSON, and only a CSV's encoding is declared
    outside of it."""
    facts = found.raw.decode_facts
    media, suffix = _MEDIA.get(str(facts.get("format")), ("application/octet-stream", "bin"))
    if facts.get("format") == "feed" and found.raw.payload.lstrip()[:1] == b"{":
        return "application/feed+json", "json"
    encoding = str(facts.get("encoding") or "")
    known = media == "text/csv" and encoding.replace("-", "").replace("_", "").isalnum() and encoding.isascii()
    return (f"{media}; charset={encoding}" if known else media), suffix
