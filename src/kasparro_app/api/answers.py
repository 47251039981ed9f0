"""Writing answers: JSON with exact numbers, lists with their paging, and what makes them conditional."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import blake2b
from types import UnionType
from typing import Any, Final

from starlette.responses import Response

from kasparro_app.api.operation import Call
from kasparro_app.views import View, json_object
from kasparro_core.normalize.canonical import canonical_json

JSON: Final = "application/json"
_OLD_PLACES: Final = ("offset", "page")


def json_answer(
    call: Call, body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`body` as JSON, with `meta` (request_id, api_latency_ms) behind it. Decimals are texts when the operation has a
    parameter `decimals` and it is "string"."""
    return _json(json_text({**body, "meta": meta(call)}, decimals=_decimals(call)), status, headers)


def page_answer(
    call: Call,
    rows: Iterable[View],
    *,
    limit: int,
    next_cursor: str | None,
    total: int | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """A page of a list: `data`, `pagination` (`more` are further members of it) and `meta`; with a `next_cursor` also
    `Link: rel="next"` (RFC 8288)."""
    texts = [row_text(row, decimals=_decimals(call)) for row in rows]
    pagination = {"limit": limit, "returned": len(texts), "next_cursor": next_cursor, "total": total, **(more or {})}
    text = f'{{"data":[{",".join(texts)}],"pagination":{json_text(pagination)},"meta":{json_text(meta(call))}}}'
    link = {"Link": next_link(call, next_cursor)} if next_cursor else {}
    return _json(text, 200, {**link, **(headers or {})})


def meta(call: Call) -> dict[str, Any]:
    """The member `meta` of an answer that is about to be sent."""
    return {
        "request_id": call.request_id,
        "api_latency_ms": round((time.perf_counter() - call.started) * 1000, 3),
    }


def next_link(call: Call, cursor: str) -> str:
    """The value of `Link` for the page behind `cursor`: the same request, relative to the host, so that it is true
    behind a proxy too. A cursor takes the place of `offset` and `page`."""
    url = call.request.url.remove_query_params(_OLD_PLACES).include_query_params(cursor=cursor)
    return f'<{url.path}?{url.query}>; rel="next"'


def row_text(row: View, *, decimals: str = "number") -> str:
    """One row as JSON on one line, its keys in the view's order. `decimals="string"`: Decimals are texts."""
    return json_object(_with_texts(row) if decimals == "string" else row)


def json_text(value: Any, *, decimals: str = "number") -> str:
    """JSON with exact numbers and times in RFC 3339; keys stand in the order given, at every depth."""
    return _ordered(_with_texts(value) if decimals == "string" else value)


def etag_of(*parts: object) -> str:
    """A weak entity tag (RFC 9110, 8.8.3) for what these parts determine. Weak, because two answers with the same
    content differ in `meta`, and because they may be compressed."""
    digest = blake2b(repr(parts).encode(), digest_size=16).hexdigest()
    return f'W/"{digest}"'


def not_modified(call: Call, etag: str, *, headers: Mapping[str, str] | None = None) -> Response | None:
    """304 when the caller's `If-None-Match` names this tag (weak comparison, RFC 9110, 13.1.2), else None."""
    given = call.request.headers.get("if-none-match")
    if given is None:
        return None
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    if "*" not in tags and etag.removeprefix("W/") not in tags:
        return None
    return Response(status_code=304, headers={"ETag": etag, **(headers or {})})


def _json(text: str, status: int, headers: Mapping[str, str] | None) -> Response:
    return Response(text.encode(), status, dict(headers or {}), JSON)


def _decimals(call: Call) -> str:
    return getattr(call.query, "decimals", None) or "number"


def _ordered(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{canonical_json(key)}:{_ordered(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_ordered, value)) + "]"
    return canonical_json(value)


def _with_texts(value: Any, numbers: type | UnionType = Decimal) -> Any:
    """The same with every Decimal as its plain text, and with every number inside `attributes`: what was stored does
    not tell the Decimal 5 from the integer, and a member has one type in all rows."""
    if isinstance(value, numbers) and not isinstance(value, bool):
        return canonical_json(value)
    if isinstance(value, Mapping):
        return {
            key: _with_texts(item, Decimal | int | float if key == "attributes" else numbers)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_with_texts(item, numbers) for item in value]
    return value
